//! A running agent: lines of JSON to it and from it.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use iothub_tests::PATIENCE;
use serde_json::{Value, json};

use crate::credential;
use crate::languages::Program;

/// What a failed scenario shows of the conversation.
const REMEMBERED: usize = 30;

/// Closed by the end of the agent.
type Input = Arc<Mutex<Option<ChildStdin>>>;

/// How a command was answered.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    Ok(Value),
    Error { status: String, detail: String },
}

#[derive(Debug)]
pub(crate) struct Agent {
    child: Child,
    input: Input,
    lines: Receiver<String>,
    /// Came, and nobody has asked for it yet.
    events: VecDeque<Value>,
    conversation: VecDeque<String>,
    /// Of all clients and operations that this agent was told of.
    serial: u64,
}

impl Agent {
    pub(crate) fn start(program: &Program) -> Result<Self, String> {
        let mut command = program.command();
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("{command:?}: {error}"))?;
        let (sender, lines) = mpsc::channel();
        let output = BufReader::new(child.stdout.take().ok_or("no output")?);
        let input: Input = Arc::new(Mutex::new(child.stdin.take()));
        let signed = Arc::clone(&input);
        std::thread::spawn(move || {
            output.lines().map_while(Result::ok).try_for_each(|line| match question(&line) {
                // Whatever the scenario waits for, and without waiting for who writes a long batch.
                Some(question) => {
                    let input = Arc::clone(&signed);
                    std::thread::spawn(move || sign(&question, &input));
                    Ok(())
                }
                None => sender.send(line),
            })
        });
        Ok(Self { child, input, lines, events: VecDeque::new(), conversation: VecDeque::new(), serial: 0 })
    }

    /// A number that no client and no operation of this agent has had.
    pub(crate) fn next_number(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    fn remember(&mut self, direction: char, line: &str) {
        if self.conversation.len() == REMEMBERED {
            self.conversation.pop_front();
        }
        let short: String = line.chars().take(300).collect();
        self.conversation.push_back(format!("{direction} {short}"));
    }

    /// The last lines in both directions, for who reads of a failure.
    pub(crate) fn conversation(&self) -> Vec<String> {
        self.conversation.iter().cloned().collect()
    }

    /// Says all of `commands` before it reads the first of their answers.
    pub(crate) fn commands(&mut self, commands: &[Value]) -> Result<Vec<Answer>, String> {
        let mut text = String::new();
        for command in commands {
            let line = command.to_string();
            self.remember('>', &line);
            text.push_str(&line);
            text.push('\n');
        }
        write(&self.input, &text)?;
        let mut answers = Vec::new();
        while answers.len() < commands.len() {
            let line = self.line(Instant::now() + PATIENCE)?.ok_or("the agent does not answer")?;
            if let Some(ok) = line.get("ok") {
                answers.push(Answer::Ok(ok.clone()));
            } else if let Some(error) = line.get("error") {
                let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
                answers.push(Answer::Error { status: text("status"), detail: text("detail") });
            } else {
                self.events.push_back(line);
            }
        }
        Ok(answers)
    }

    /// The next event; `None` when there was none until then.
    pub(crate) fn event(&mut self, until: Instant) -> Result<Option<Value>, String> {
        if let Some(event) = self.events.pop_front() {
            return Ok(Some(event));
        }
        match self.line(until)? {
            Some(line) if line.get("event").is_some() => Ok(Some(line)),
            Some(line) => Err(format!("the agent answers what nobody asked: {line}")),
            None => Ok(None),
        }
    }

    fn line(&mut self, until: Instant) -> Result<Option<Value>, String> {
        let left = until.saturating_duration_since(Instant::now());
        match self.lines.recv_timeout(left) {
            Ok(line) => {
                self.remember('<', &line);
                serde_json::from_str(&line).map(Some).map_err(|error| format!("no JSON: {error}: {line}"))
            }
            Err(mpsc::RecvTimeoutError::Timeout) => Ok(None),
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                let status = self.child.wait().map_err(|error| error.to_string())?;
                Err(format!("the agent has ended: {status}"))
            }
        }
    }

    /// Asks it to end, which it has to do by itself and without a complaint.
    pub(crate) fn end(mut self) -> Result<(), String> {
        self.commands(&[json!({ "do": "end" })])?;
        drop(self.input.lock().unwrap().take());
        match self.line(Instant::now() + PATIENCE) {
            Ok(Some(line)) => return Err(format!("after its end the agent says {line}")),
            Ok(None) => return Err("the agent does not end".to_owned()),
            Err(_) => {}
        }
        let status = self.child.wait().map_err(|error| error.to_string())?;
        if status.success() { Ok(()) } else { Err(format!("the agent has ended: {status}")) }
    }
}

fn write(input: &Input, text: &str) -> Result<(), String> {
    let mut input = input.lock().unwrap();
    let input = input.as_mut().ok_or("the agent was ended")?;
    input.write_all(text.as_bytes()).map_err(|error| format!("the agent does not listen: {error}"))
}

/// What a callback of the application asks to be signed.
fn question(line: &str) -> Option<Value> {
    let line: Value = serde_json::from_str(line).ok().filter(|_| line.contains("\"sign\""))?;
    (line["event"] == "sign").then_some(line)
}

/// Answers as a key vault would, which needs no turn of the agent's: `signed` is not answered.
fn sign(question: &Value, input: &Input) {
    let signature = credential::sign(question).unwrap_or_default();
    let answer = json!({ "do": "signed", "id": question["id"], "signature": signature });
    // An agent that has ended needs no answer.
    let _ = write(input, &format!("{answer}\n"));
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
