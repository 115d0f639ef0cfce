//! Parses `fixtures/containerfile/<case>/Containerfile` and compares with the `expected` beside it.
//!
//! Expectations are written by hand from the Dockerfile reference, one folder a rule. The format: one line a
//! stage, an instruction or a diagnostic; texts as Rust string literals.

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
    assert!(cases.len() >= 15, "fixtures are missing");
    for case in cases {
        let bytes = std::fs::read(case.join("Containerfile")).unwrap();
        let expected = std::fs::read_to_string(case.join("expected")).unwrap();
        let source = Source::from_bytes("Containerfile", &bytes);
        let found = match containerfile::parse(&source) {
            Ok(file) => dump(&source, &file),
            Err(errors) => diagnostics("error", &source, &errors),
        };
        assert!(found == expected, "{}:\n--- found\n{found}--- expected\n{expected}", case.display());
    }
}

fn dump(source: &Source, file: &Containerfile) -> String {
    let mut out = String::new();
    if let Some(syntax) = &file.directives.syntax {
        line(&mut out, &format!("syntax {}", syntax.value));
    }
    if file.directives.escape == Escape::Backtick {
        line(&mut out, "escape `");
    }
    for arg in &file.global_args {
        line(&mut out, &format!("arg {}{}", arg.name.text(), option("", arg.default.as_ref())));
    }
    for stage in &file.stages {
        let name = stage.name.as_ref().map(|name| format!(" as {}", name.value)).unwrap_or_default();
        let platform = option(" platform", stage.from.platform.as_ref());
        line(&mut out, &format!("stage {}{name}{platform}", stage.from.image.text()));
        for statement in &stage.instructions {
            instruction(&mut out, &statement.instruction);
        }
    }
    out + &diagnostics("warning", source, &file.warnings)
}

fn instruction(out: &mut String, instruction: &Instruction) {
    let name = instruction.name();
    let text = match instruction {
        Instruction::Add(it) => return add(out, it),
        Instruction::Copy(it) => return copy(out, it),
        Instruction::Run(it) => return run(out, it),
        Instruction::Env(pairs) | Instruction::Label(pairs) => {
            for pair in pairs {
                line(out, &format!("  {name} {} = {}", pair.key.text(), pair.value.text()));
            }
            return;
        }
        Instruction::Arg(args) => {
            for arg in args {
                line(out, &format!("  {name} {}{}", arg.name.text(), option("", arg.default.as_ref())));
            }
            return;
        }
        Instruction::Onbuild(onbuild) => {
            line(out, &format!("  {name} {:?}", onbuild.text));
            return self::instruction(out, &onbuild.instruction);
        }
        Instruction::Cmd(it) | Instruction::Entrypoint(it) => command(it),
        Instruction::Healthcheck(check) => health(check),
        Instruction::Expose(list) | Instruction::Volume(list) => words(list),
        Instruction::Maintainer(text) => text.value.clone(),
        Instruction::Shell(shell) => format!("{shell:?}"),
        Instruction::Stopsignal(word) | Instruction::User(word) | Instruction::Workdir(word) => {
            word.text().to_owned()
        }
    };
    line(out, &format!("  {name} {text}"));
}

fn add(out: &mut String, add: &Add) {
    let flags = option(" checksum", add.checksum.as_ref())
        + &option(" chown", add.chown.as_ref())
        + &option(" chmod", add.chmod.as_ref())
        + &flag(" link", add.link)
        + &add.keep_git_dir.map(|keep| format!(" keep-git-dir={keep}")).unwrap_or_default()
        + &add.unpack.map(|unpack| format!(" unpack={unpack}")).unwrap_or_default()
        + &list(" exclude", &add.excludes);
    line(out, &format!("  ADD{flags} {} -> {}", words(&add.sources), add.destination.text()));
    heredocs(out, &add.heredocs);
}

fn copy(out: &mut String, copy: &Copy) {
    let flags = option(" from", copy.from.as_ref())
        + &option(" chown", copy.chown.as_ref())
        + &option(" chmod", copy.chmod.as_ref())
        + &flag(" link", copy.link)
        + &flag(" parents", copy.parents)
        + &list(" exclude", &copy.excludes);
    line(out, &format!("  COPY{flags} {} -> {}", words(&copy.sources), copy.destination.text()));
    heredocs(out, &copy.heredocs);
}

fn run(out: &mut String, run: &Run) {
    let network = run.network.as_ref().map(|it| format!(" network={:?}", it.value)).unwrap_or_default();
    let security = run.security.as_ref().map(|it| format!(" security={:?}", it.value)).unwrap_or_default();
    line(out, &format!("  RUN{network}{security} {}", command(&run.command)));
    for mount in &run.mounts {
        let options = mount.options.iter().map(|it| it.name.clone() + &option("", it.value.as_ref()));
        line(out, &format!("    mount {}", options.collect::<Vec<_>>().join(" | ")));
    }
    heredocs(out, &run.heredocs);
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

fn heredocs(out: &mut String, heredocs: &[Heredoc]) {
    for heredoc in heredocs {
        let flags = flag(" literal", !heredoc.expand) + &flag(" tabs", heredoc.strip_tabs);
        line(out, &format!("    heredoc {}{flags} {:?}", heredoc.name, heredoc.body));
    }
}

fn diagnostics(kind: &str, source: &Source, diagnostics: &[Diagnostic]) -> String {
    let mut out = String::new();
    for diagnostic in diagnostics {
        let at = source.position(diagnostic.span.start);
        let code = diagnostic.code.map(|code| format!(" {code}")).unwrap_or_default();
        let text = source.slice(diagnostic.span);
        line(&mut out, &format!("{kind}{code} {}:{} {text:?} {}", at.line, at.column, diagnostic.message));
        if let Some(hint) = &diagnostic.hint {
            line(&mut out, &format!("  hint: {hint}"));
        }
    }
    out
}

fn words(words: &[Word]) -> String {
    words.iter().map(Word::text).collect::<Vec<_>>().join(" | ")
}

fn list(name: &str, words: &[Word]) -> String {
    words.iter().fold(String::new(), |list, word| list + name + "=" + word.text())
}

fn option(name: &str, word: Option<&Word>) -> String {
    word.map(|word| format!("{name}={}", word.text())).unwrap_or_default()
}

fn flag(name: &str, set: bool) -> String {
    if set { name.to_owned() } else { String::new() }
}

fn line(out: &mut String, text: &str) {
    out.push_str(text.trim_end());
    out.push('\n');
}
