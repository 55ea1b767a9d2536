//! `bench`: publish to acknowledgement, QoS 1, over TLS; CPU of the client for each message, of every contender, in
//! interleaved rounds. See bench/README.md.

use std::fs::{self, File};
use std::io::Write as _;
use std::process::ExitCode;
use std::time::SystemTime;

use clap::Parser;
use iothub_bench::Failure;
use iothub_bench::runner::process::{Load, Programs, Run};
use iothub_bench::runner::report::{Row, table};
use iothub_bench::runner::{contenders, placement, process};
use iothub_bench::sink::{Sink, TlsVersion};
use serde_json::{Value, json};

#[derive(Parser)]
#[command(about = "CPU of the client for each message, from publish to acknowledgement, beside its peers")]
struct Arguments {
    /// Times that each contender runs.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Messages in a run.
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(1..))]
    count: u64,
    /// Bytes in a message.
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(..=262_144))]
    size: u32,
    /// Two rounds of 20,000: does it work, not how fast is it.
    #[arg(long, conflicts_with_all = ["rounds", "count"])]
    quick: bool,
    /// The TLS version that the hub accepts.
    #[arg(long, value_enum, default_value = "1.3")]
    tls: TlsVersion,
    /// The core for client and hub; the last one by default.
    #[arg(long, conflicts_with = "no_pin")]
    cpu: Option<usize>,
    /// Let client and hub run on any core. Adds the cost of wake-ups across cores, and spread.
    #[arg(long)]
    no_pin: bool,
    /// Only contenders whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
}

fn main() -> Result<ExitCode, Failure> {
    let mut arguments = Arguments::parse();
    if arguments.quick {
        (arguments.rounds, arguments.count) = (2, 20_000);
    }
    let core = if arguments.no_pin { None } else { Some(placement::bind(arguments.cpu)?) };
    let programs = Programs::find()?;
    let mut log = log(&programs, &arguments, core)?;
    let sink = Sink::start(arguments.tls)?;
    let load = Load { count: arguments.count, size: arguments.size as usize };

    let mut rows: Vec<Row> = contenders::TABLE
        .iter()
        .filter(|contender| contender.name.contains(&arguments.only))
        .map(|&contender| Row { contender, runs: Vec::new(), trouble: programs.command(&contender).err() })
        .collect();
    let mut runnable: Vec<usize> = (0..rows.len()).filter(|&at| rows[at].trouble.is_none()).collect();
    let mut failed = false;
    for round in 1..=arguments.rounds {
        eprintln!("round {round} of {}", arguments.rounds);
        // Whatever else the machine does in a round meets each contender at another moment.
        fastrand::shuffle(&mut runnable);
        for &at in &runnable {
            let row = &mut rows[at];
            match process::run(programs.command(&row.contender)?, &row.contender, load, &sink) {
                Ok(run) => {
                    writeln!(log, "{}", line(round, row, &run))?;
                    row.runs.push(run);
                }
                Err(error) => {
                    eprintln!("{}: {error}", row.contender.name);
                    row.trouble = Some(error.to_string());
                    failed = true;
                }
            }
        }
    }
    println!("{}", table(&rows));
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// A file of this run's own; its first line says under which conditions.
fn log(programs: &Programs, arguments: &Arguments, core: Option<usize>) -> Result<File, Failure> {
    let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
    fs::create_dir_all(programs.folder())?;
    let path = programs.folder().join(format!("{time}.jsonl"));
    let mut file = File::create(&path)?;
    let conditions = json!({
        "event": "start", "time": time, "rounds": arguments.rounds, "messages": arguments.count, "size": arguments.size,
        "tls": format!("{:?}", arguments.tls), "core": core, "cpu": cpu_model(),
    });
    writeln!(file, "{conditions}")?;
    eprintln!("each run goes to {}", path.display());
    Ok(file)
}

fn line(round: u32, row: &Row, run: &Run) -> Value {
    json!({
        "event": "run", "round": round, "client": row.contender.name, "window": row.contender.window,
        "cost": run.client.to_json(), "cpu_us_per_message": run.client.cpu_per_message(),
        "hub_cpu_us": run.hub_cpu.as_micros() as u64,
    })
}

fn cpu_model() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    model.map_or_else(|| "unknown".to_owned(), |(_, name)| name.trim().to_owned())
}
