//! Debian's mosquitto with TLS and a password, on a free port.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

pub const USER: &str = "gauge";
pub const PASSWORD: &str = "correct horse";

#[derive(Debug)]
pub struct Mosquitto {
    dir: TempDir,
    port: u16,
    child: Option<Child>,
    pub ca_pem: String,
}

impl Mosquitto {
    pub fn start() -> Self {
        let dir = TempDir::new().unwrap();
        let mut ca_params = CertificateParams::new([]).unwrap();
        ca_params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_key = KeyPair::generate().unwrap();
        let ca_pem = ca_params.self_signed(&ca_key).unwrap().pem();
        let key = KeyPair::generate().unwrap();
        let issuer = Issuer::new(ca_params, ca_key);
        let leaf =
            CertificateParams::new(["localhost".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
        fs::write(dir.path().join("leaf.pem"), leaf.pem()).unwrap();
        fs::write(dir.path().join("key.pem"), key.serialize_pem()).unwrap();
        let passwords = dir.path().join("passwords");
        let mut make = Command::new("mosquitto_passwd");
        let made = make.args(["-b", "-c"]).arg(&passwords).args([USER, PASSWORD]).status();
        assert!(made.expect("mosquitto_passwd: install Debian's mosquitto").success());
        // The broker takes a port, not a socket: one that was free a moment ago.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut this = Self { dir, port, child: None, ca_pem };
        this.restart();
        this
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Starts it again, with nothing of what it knew; returns when it accepts connections.
    pub fn restart(&mut self) {
        self.stop();
        let file = |name: &str| self.dir.path().join(name).display().to_string();
        let config = self.dir.path().join("mosquitto.conf");
        let mut out = fs::File::create(&config).unwrap();
        writeln!(
            out,
            "listener {} 127.0.0.1\ncertfile {}\nkeyfile {}\npassword_file {}\nallow_anonymous false\n\
             max_inflight_messages 0\nmax_queued_messages 0\n",
            self.port,
            file("leaf.pem"),
            file("key.pem"),
            file("passwords"),
        )
        .unwrap();
        // Started by root it would give up its rights, and with them the files of the test.
        writeln!(out, "user root").unwrap();
        self.child = Some(spawn(&config));
    }
}

fn spawn(config: &Path) -> Child {
    let program = if Path::new("/usr/sbin/mosquitto").exists() { "/usr/sbin/mosquitto" } else { "mosquitto" };
    let mut child = Command::new(program)
        .args(["-v", "-c"])
        .arg(config)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("mosquitto: install Debian's package");
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    for line in lines.by_ref().map_while(Result::ok) {
        if line.contains("running") {
            // Somebody has to read what it says.
            std::thread::spawn(move || lines.for_each(drop));
            return child;
        }
    }
    panic!("mosquitto did not start: {:?}", child.wait());
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        self.stop();
    }
}
