//! How a program ended that a test ran, and what it wrote.

use std::fmt;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

/// How a run of a program ended and what it wrote.
///
/// Prints as a text for snapshots: exit code and output, with `[DIR]` for the temporary directory and `[TIME]` for
/// durations.
#[derive(Debug, Clone)]
pub struct Output {
    command: String,
    status: ExitStatus,
    /// What it wrote to standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error.
    pub stderr: String,
    /// How long it took.
    pub elapsed: Duration,
    dir: PathBuf,
}

impl Output {
    /// Waits for the end of `child`, whose streams are pipes, while it reads `stdin`.
    ///
    /// Kills it and panics when it takes longer than `timeout`. Output is shown without the path of `dir`.
    pub(crate) fn of(mut child: Child, stdin: &[u8], command: String, dir: &Path, timeout: Duration) -> Self {
        let started = Instant::now();
        let mut input = child.stdin.take().expect("a piped standard input");
        let stdin = stdin.to_owned();
        // A program that does not read it is no failure of the test.
        let writer = thread::spawn(move || input.write_all(&stdin).ok());
        let stdout = collect(child.stdout.take().expect("a piped standard output"));
        let stderr = collect(child.stderr.take().expect("a piped standard error"));
        let status = wait_until(&mut child, started + timeout);
        let finish = |thread: thread::JoinHandle<Vec<u8>>| thread.join().expect("a thread that only reads");
        writer.join().expect("a thread that only writes");
        let output = Self {
            command,
            status,
            stdout: finish(stdout),
            stderr: String::from_utf8_lossy(&finish(stderr)).into_owned(),
            elapsed: started.elapsed(),
            dir: dir.to_owned(),
        };
        assert!(output.elapsed < timeout, "`{}` took too long\n{output}", output.command);
        output
    }

    /// The exit code; 128 + n for death by signal n, as a shell tells it.
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| 128 + self.status.signal().unwrap_or_default())
    }

    /// Itself, if the exit code is 0.
    #[track_caller]
    pub fn success(self) -> Self {
        self.exits(0)
    }

    /// Itself, if the exit code is this one.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code(), code, "the wrong exit code of `{}`\n{self}", self.command);
        self
    }

    /// Standard output as text without the newline at its end.
    pub fn text(&self) -> String {
        let text = String::from_utf8_lossy(&self.stdout);
        text.strip_suffix('\n').unwrap_or(&text).to_owned()
    }

    /// Standard output as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.stdout).unwrap_or_else(|error| panic!("no JSON: {error}\n{self}"))
    }

    fn shown(&self, text: &str) -> String {
        let text = text.replace(&*self.dir.to_string_lossy(), "[DIR]");
        let lines: Vec<_> = text.lines().map(without_times).collect();
        lines.join("\n")
    }
}

impl fmt::Display for Output {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stdout = String::from_utf8_lossy(&self.stdout);
        write!(
            formatter,
            "exit code: {}\n--- stdout\n{}\n--- stderr\n{}",
            self.code(),
            self.shown(&stdout),
            self.shown(&self.stderr)
        )
    }
}

fn collect(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).expect("reading a pipe");
        bytes
    })
}

fn wait_until(child: &mut Child, deadline: Instant) -> ExitStatus {
    loop {
        if let Some(status) = child.try_wait().expect("waiting for the binary") {
            return status;
        }
        if Instant::now() > deadline {
            child.kill().expect("killing the binary");
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// A line of plain progress without what differs between runs: `#2 0.8 text`, `#2 DONE 1.2s`.
fn without_times(line: &str) -> String {
    let words: Vec<_> = line.split(' ').collect();
    match words.as_slice() {
        [number, "DONE", time, rest @ ..]
            if number.starts_with('#') && is_seconds(time.trim_end_matches('s')) =>
        {
            [&[*number, "DONE", "[TIME]"], rest].concat().join(" ")
        }
        [number, time, rest @ ..] if number.starts_with('#') && is_seconds(time) => {
            [&[*number, "[TIME]"], rest].concat().join(" ")
        }
        _ => line.to_owned(),
    }
}

fn is_seconds(word: &str) -> bool {
    word.contains('.') && word.parse::<f64>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_taken_out_of_plain_progress() {
        for (line, expected) in [
            ("#12 DONE 1.2s", "#12 DONE [TIME]"),
            ("#4 DONE 0.3s sha256:ab", "#4 DONE [TIME] sha256:ab"),
            ("#3 0.1 took 2.5 s", "#3 [TIME] took 2.5 s"),
            ("#3 CACHED", "#3 CACHED"),
            ("#1 [build 1/2] RUN x", "#1 [build 1/2] RUN x"),
            ("1 | RUN 0.1", "1 | RUN 0.1"),
        ] {
            assert_eq!(without_times(line), expected);
        }
    }
}
