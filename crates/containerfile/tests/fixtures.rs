//! Parses `fixtures/containerfile/<case>/Containerfile` and compares with the `expected` beside it.
//!
//! Expectations are written by hand from the Dockerfile reference, one folder a rule. The format: one line a
//! stage, an instruction or a diagnostic; texts as Rust string literals. Where there is a file `variables`, words are
//! expanded with them; a word that cannot be is `!`, and its error stands among the diagnostics.

#![expect(clippy::unwrap_used, reason = "a test has no better answer")]

use std::collections::BTreeMap;
use std::path::Path;

use containerfile::{
    Add, CommandLine, Containerfile, Copy, Diagnostic, Escape, Healthcheck, Heredoc, Instruction, Run,
    Source, Word,
};

#[test]
fn fixtures_parse_as_expected() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/containerfile");
    let mut cases: Vec<_> = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    assert!(cases.len() >= 90, "fixtures are missing");
    let wrong: Vec<String> = cases.iter().filter_map(|case| difference(case)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is found in a case, if it is not what is expected.
fn difference(case: &Path) -> Option<String> {
    let bytes = std::fs::read(case.join("Containerfile")).unwrap();
    let expected = std::fs::read_to_string(case.join("expected")).unwrap();
    let source = Source::from_bytes("Containerfile", &bytes);
    let found = match containerfile::parse(&source) {
        Ok(file) => Dump::new(case, file.directives.escape).file(&source, &file),
        Err(errors) => diagnostics("error", &source, &errors),
    };
    (found != expected).then(|| format!("{}:\n--- found\n{found}--- expected\n{expected}", case.display()))
}

struct Dump {
    out: String,
    escape: Escape,
    variables: Option<BTreeMap<String, String>>,
    errors: Vec<Diagnostic>,
}

impl Dump {
    fn new(case: &Path, escape: Escape) -> Self {
        let variables = std::fs::read_to_string(case.join("variables")).ok();
        let pair = |line: &str| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        let variables = variables.map(|text| text.lines().filter_map(pair).collect());
        Self { out: String::new(), escape, variables, errors: Vec::new() }
    }

    fn file(mut self, source: &Source, file: &Containerfile) -> String {
        if let Some(syntax) = &file.directives.syntax {
            self.line(&format!("syntax {}", syntax.value));
        }
        if file.directives.escape == Escape::Backtick {
            self.line("escape `");
        }
        for arg in &file.global_args {
            let default = self.option("", arg.default.as_ref());
            self.line(&format!("arg {}{default}", arg.name.text()));
        }
        for stage in &file.stages {
            let name = stage.name.as_ref().map(|name| format!(" as {}", name.value)).unwrap_or_default();
            let platform = self.option(" platform", stage.from.platform.as_ref());
            let image = self.text(&stage.from.image);
            self.line(&format!("stage {image}{name}{platform}"));
            for statement in &stage.instructions {
                self.instruction(&statement.instruction);
            }
        }
        let check = file.directives.check.as_ref().map(|check| check.value.clone()).unwrap_or_default();
        let speaks = |warning: &&Diagnostic| warning.code.is_none_or(|code| check.speaks(code));
        let warnings: Vec<_> = file.warnings.iter().filter(speaks).cloned().collect();
        self.out + &diagnostics("error", source, &self.errors) + &diagnostics("warning", source, &warnings)
    }

    fn instruction(&mut self, instruction: &Instruction) {
        let name = instruction.name();
        let text = match instruction {
            Instruction::Add(it) => return self.add(it),
            Instruction::Copy(it) => return self.copy(it),
            Instruction::Run(it) => return self.run(it),
            Instruction::Env(pairs) | Instruction::Label(pairs) => {
                for pair in pairs {
                    let (key, value) = (self.text(&pair.key), self.text(&pair.value));
                    self.line(&format!("  {name} {key} = {value}"));
                }
                return;
            }
            Instruction::Arg(args) => {
                for arg in args {
                    let default = self.option("", arg.default.as_ref());
                    self.line(&format!("  {name} {}{default}", arg.name.text()));
                }
                return;
            }
            Instruction::Onbuild(onbuild) => {
                self.line(&format!("  {name} {:?}", onbuild.text));
                return self.instruction(&onbuild.instruction);
            }
            Instruction::Cmd(it) | Instruction::Entrypoint(it) => command(it),
            Instruction::Healthcheck(check) => health(check),
            Instruction::Expose(list) => self.ports(list),
            Instruction::Volume(list) => self.words(list),
            Instruction::Maintainer(text) => text.value.clone(),
            Instruction::Shell(shell) => format!("{shell:?}"),
            Instruction::Stopsignal(word) | Instruction::User(word) | Instruction::Workdir(word) => {
                self.text(word)
            }
        };
        self.line(&format!("  {name} {text}"));
    }

    fn add(&mut self, add: &Add) {
        let flags = self.option(" checksum", add.checksum.as_ref())
            + &self.option(" chown", add.chown.as_ref())
            + &self.option(" chmod", add.chmod.as_ref())
            + &flag(" link", add.link)
            + &add.keep_git_dir.map(|keep| format!(" keep-git-dir={keep}")).unwrap_or_default()
            + &add.unpack.map(|unpack| format!(" unpack={unpack}")).unwrap_or_default()
            + &list(" exclude", &add.excludes);
        let (sources, destination) = (self.words(&add.sources), self.text(&add.destination));
        self.line(&format!("  ADD{flags} {sources} -> {destination}"));
        self.heredocs(&add.heredocs);
    }

    fn copy(&mut self, copy: &Copy) {
        let flags = self.option(" from", copy.from.as_ref())
            + &self.option(" chown", copy.chown.as_ref())
            + &self.option(" chmod", copy.chmod.as_ref())
            + &flag(" link", copy.link)
            + &flag(" parents", copy.parents)
            + &list(" exclude", &copy.excludes);
        let (sources, destination) = (self.words(&copy.sources), self.text(&copy.destination));
        self.line(&format!("  COPY{flags} {sources} -> {destination}"));
        self.heredocs(&copy.heredocs);
    }

    fn run(&mut self, run: &Run) {
        let network = run.network.as_ref().map(|it| format!(" network={:?}", it.value)).unwrap_or_default();
        let security =
            run.security.as_ref().map(|it| format!(" security={:?}", it.value)).unwrap_or_default();
        self.line(&format!("  RUN{network}{security} {}", command(&run.command)));
        for mount in &run.mounts {
            let options =
                mount.options.iter().map(|it| it.name.clone() + &self.option("", it.value.as_ref()));
            let options = options.collect::<Vec<_>>().join(" | ");
            self.line(&format!("    mount {options}"));
        }
        for device in &run.devices {
            let required = flag(" required", device.value.required);
            self.line(&format!("    device {}{required}", device.value.name));
        }
        for heredoc in &run.heredocs {
            self.heredoc(heredoc, &heredoc.body);
        }
    }

    fn heredocs(&mut self, heredocs: &[Heredoc]) {
        for heredoc in heredocs {
            let Some(variables) = &self.variables else {
                self.heredoc(heredoc, &heredoc.body);
                continue;
            };
            match heredoc.expand(&|name| variables.get(name).cloned()) {
                Ok(expanded) => self.heredoc(heredoc, &expanded.value),
                Err(error) => self.errors.push(error),
            }
        }
    }

    fn heredoc(&mut self, heredoc: &Heredoc, body: &str) {
        let flags = flag(" literal", !heredoc.expand) + &flag(" tabs", heredoc.strip_tabs);
        self.line(&format!("    heredoc {}{flags} {body:?}", heredoc.name));
    }

    fn words(&mut self, words: &[Word]) -> String {
        words.iter().map(|word| self.text(word)).collect::<Vec<_>>().join(" | ")
    }

    /// A port that is a variable may be several.
    fn ports(&mut self, words: &[Word]) -> String {
        let Some(variables) = &self.variables else { return self.words(words) };
        let expand = |word: &Word| word.expand_words(&|name| variables.get(name).cloned(), self.escape);
        words.iter().flat_map(|word| expand(word).unwrap().words).collect::<Vec<_>>().join(" | ")
    }

    fn text(&mut self, word: &Word) -> String {
        let Some(variables) = &self.variables else { return word.text().to_owned() };
        match word.expand(&|name| variables.get(name).cloned(), self.escape) {
            Ok(expanded) => expanded.value,
            Err(error) => {
                self.errors.push(error);
                "!".to_owned()
            }
        }
    }

    fn option(&mut self, name: &str, word: Option<&Word>) -> String {
        word.map(|word| format!("{name}={}", self.text(word))).unwrap_or_default()
    }

    fn line(&mut self, text: &str) {
        line(&mut self.out, text);
    }
}

fn health(check: &Healthcheck) -> String {
    match check {
        Healthcheck::Disabled => "none".to_owned(),
        Healthcheck::Command { command: line, options } => {
            let mut out = command(line);
            for (name, value) in [
                ("interval", options.interval),
                ("timeout", options.timeout),
                ("start-period", options.start_period),
                ("start-interval", options.start_interval),
            ] {
                out += &value.map(|value| format!(" {name}={value:?}")).unwrap_or_default();
            }
            out + &options.retries.map(|retries| format!(" retries={retries}")).unwrap_or_default()
        }
    }
}

fn command(command: &CommandLine) -> String {
    match command {
        CommandLine::Shell(text) => format!("shell {:?}", text.value),
        CommandLine::Exec(arguments) => format!("exec {arguments:?}"),
    }
}

fn diagnostics(kind: &str, source: &Source, diagnostics: &[Diagnostic]) -> String {
    let mut out = String::new();
    for diagnostic in diagnostics {
        let at = source.position(diagnostic.span.start);
        let code = diagnostic.code.map(|code| format!(" {code}")).unwrap_or_default();
        let text = source.slice(diagnostic.span);
        line(&mut out, &format!("{kind}{code} {}:{} {text:?} {}", at.line, at.column, diagnostic.message));
        for note in &diagnostic.notes {
            line(&mut out, &format!("  note: {note}"));
        }
        if let Some(hint) = &diagnostic.hint {
            line(&mut out, &format!("  hint: {hint}"));
        }
    }
    out
}

fn list(name: &str, words: &[Word]) -> String {
    words.iter().fold(String::new(), |list, word| list + name + "=" + word.text())
}

fn flag(name: &str, set: bool) -> String {
    if set { name.to_owned() } else { String::new() }
}

fn line(out: &mut String, text: &str) {
    out.push_str(text.trim_end());
    out.push('\n');
}
