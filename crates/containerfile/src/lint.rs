//! Lint rules that need nothing but the syntax tree, by BuildKit's names and with BuildKit's conditions.
//!
//! Rules that need values, images or the context (`UndefinedVar`, `WorkdirRelativePath`, `CopyIgnoredFile` and
//! the like) are for whoever has these.

use std::collections::BTreeSet;

use crate::instruction::{ArgDeclaration, CommandLine, Instruction, Pair};
use crate::{Containerfile, Diagnostic, From, Source, Span, Spanned, Stage, Statement, Word};

/// Gives the warnings of all rules, in no order.
pub(crate) fn check(source: &Source, file: &Containerfile) -> Vec<Diagnostic> {
    let mut lint = Lint { source, file, warnings: Vec::new() };
    lint.instruction_casing();
    lint.stage_names();
    for stage in &file.stages {
        lint.from(stage);
        lint.repeated_instructions(stage);
        lint.shell_form(stage);
        for statement in &stage.instructions {
            lint.statement(statement);
        }
    }
    lint.warnings
}

struct Lint<'a> {
    source: &'a Source,
    file: &'a Containerfile,
    warnings: Vec<Diagnostic>,
}

impl<'a> Lint<'a> {
    fn warn(&mut self, code: &'static str, message: impl Into<String>, span: Span) {
        self.warnings.push(Diagnostic::warning(code, message, span));
    }

    fn warn_with_hint(&mut self, code: &'static str, message: String, span: Span, hint: &str) {
        self.warnings.push(Diagnostic::warning(code, message, span).with_hint(hint));
    }

    /// All keywords should be in the case of most of them.
    fn instruction_casing(&mut self) {
        let keywords = || {
            self.file.stages.iter().flat_map(|stage| {
                std::iter::once(stage.from.keyword).chain(stage.instructions.iter().map(|s| s.keyword))
            })
        };
        let text = |span| self.source.slice(span);
        let lower = keywords().filter(|span| text(*span) == text(*span).to_lowercase()).count();
        let upper = keywords().filter(|span| text(*span) == text(*span).to_uppercase()).count();
        let (name, convert): (_, fn(&str) -> String) =
            if lower > upper { ("lower", str::to_lowercase) } else { ("upper", str::to_uppercase) };
        let odd: Vec<Span> = keywords().filter(|span| text(*span) != convert(text(*span))).collect();
        for span in odd {
            let keyword = self.source.slice(span);
            let message = format!("`{keyword}` should be in {name} case, as most instructions are");
            self.warn("ConsistentInstructionCasing", message, span);
        }
    }

    fn stage_names(&mut self) {
        let mut seen = BTreeSet::new();
        for name in self.file.stages.iter().filter_map(|stage| stage.name.as_ref()) {
            let written = self.source.slice(name.span);
            if written != name.value {
                let message = format!("stage name `{written}` should be in lower case");
                self.warn("StageNameCasing", message, name.span);
            }
            if matches!(name.value.as_str(), "scratch" | "context") {
                let message = format!("`{}` is a reserved name", name.value);
                self.warn("ReservedStageName", message, name.span);
            }
            if !seen.insert(&name.value) {
                let message = format!("there is more than one stage `{}`", name.value);
                self.warn("DuplicateStageName", message, name.span);
            }
        }
    }

    fn from(&mut self, stage: &'a Stage) {
        let From { keyword, as_keyword, platform, .. } = &stage.from;
        if let Some(as_keyword) = as_keyword {
            let (from, word) = (self.source.slice(*keyword), self.source.slice(*as_keyword));
            let lower = from == from.to_lowercase() && word != word.to_lowercase();
            let upper = from == from.to_uppercase() && word != word.to_uppercase();
            if lower || upper {
                let message = format!("`{word}` should be in the case of `{from}`");
                self.warn("FromAsCasing", message, *as_keyword);
            }
        }
        if let Some(platform) = platform {
            self.platform(platform, stage.name.as_ref());
        }
        if let Some(name) = &stage.name {
            self.description("FROM", &[&name.value], &stage.comments, stage.from.span);
        }
    }

    fn platform(&mut self, platform: &Word, name: Option<&Spanned<String>>) {
        let text = platform.text();
        if matches!(text, "$TARGETPLATFORM" | "${TARGETPLATFORM}") {
            let message = format!("`{text}` is the platform that FROM has by itself");
            self.warn_with_hint(
                "RedundantTargetPlatform",
                message,
                platform.span(),
                "leave `--platform` out",
            );
        }
        // A stage that is named after its platform means it.
        let is_named_after = name.is_some_and(|name| text.split('/').any(|part| name.value.contains(part)));
        if !text.contains('$') && !is_named_after {
            let message = format!("platform `{text}` does not depend on what is built for");
            self.warn("FromPlatformFlagConstDisallowed", message, platform.span());
        }
    }

    /// Of these, only the last one of a stage counts; the rule points at the others.
    fn repeated_instructions(&mut self, stage: &Stage) {
        for name in ["CMD", "ENTRYPOINT", "HEALTHCHECK"] {
            let mut found = stage.instructions.iter().filter(|s| s.instruction.name() == name).peekable();
            while let Some(statement) = found.next() {
                if found.peek().is_some() {
                    let message = format!("this {name} has no effect: only the last one of a stage counts");
                    self.warn("MultipleInstructionsDisallowed", message, statement.span);
                }
            }
        }
    }

    /// With a shell in between, signals do not reach the process; whoever sets SHELL wants one.
    fn shell_form(&mut self, stage: &Stage) {
        for statement in &stage.instructions {
            match &statement.instruction {
                Instruction::Shell(_) => return,
                Instruction::Cmd(CommandLine::Shell(_)) | Instruction::Entrypoint(CommandLine::Shell(_)) => {
                    let name = statement.instruction.name();
                    let message = format!("{name} in shell form does not pass signals on to the process");
                    let hint = "write it as a JSON array";
                    self.warn_with_hint("JSONArgsRecommended", message, statement.span, hint);
                }
                _ => {}
            }
        }
    }

    fn statement(&mut self, statement: &Statement) {
        match &statement.instruction {
            Instruction::Maintainer(_) => {
                let message = "MAINTAINER is deprecated".to_owned();
                let hint = "write `LABEL org.opencontainers.image.authors=…`";
                self.warn_with_hint("MaintainerDeprecated", message, statement.span, hint);
            }
            Instruction::Env(pairs) => {
                self.legacy_pairs("ENV", pairs);
                for pair in pairs {
                    self.secret_name("ENV", &pair.key);
                }
            }
            Instruction::Label(pairs) => self.legacy_pairs("LABEL", pairs),
            Instruction::Arg(declarations) => self.declarations(declarations, statement),
            Instruction::Expose(ports) => {
                for port in ports {
                    self.port(port);
                }
            }
            _ => {}
        }
    }

    fn declarations(&mut self, declarations: &[ArgDeclaration], statement: &Statement) {
        for declaration in declarations {
            self.secret_name("ARG", &declaration.name);
        }
        let names: Vec<&str> = declarations.iter().map(|declaration| declaration.name.text()).collect();
        self.description("ARG", &names, &statement.comments, statement.span);
    }

    fn legacy_pairs(&mut self, name: &str, pairs: &[Pair]) {
        for pair in pairs.iter().filter(|pair| pair.legacy) {
            let message = format!("`{name} name value` is the old form");
            let hint = format!("write `{name} {}=…`", pair.key.text());
            self.warn_with_hint(
                "LegacyKeyValueFormat",
                message,
                pair.key.span().to(pair.value.span()),
                &hint,
            );
        }
    }

    fn secret_name(&mut self, instruction: &str, name: &Word) {
        const SECRET: [&str; 10] = [
            "apikey",
            "auth",
            "credential",
            "credentials",
            "key",
            "password",
            "pword",
            "passwd",
            "secret",
            "token",
        ];
        const HARMLESS: [&str; 3] = ["public", "file", "version"];
        let lower = name.text().to_lowercase();
        let has = |words: &[&str]| lower.split('_').any(|part| words.contains(&part));
        if has(&SECRET) && !has(&HARMLESS) {
            let message =
                format!("{instruction} `{}` looks like a secret, and stays in the image", name.text());
            let hint = "use `RUN --mount=type=secret`";
            self.warn_with_hint("SecretsUsedInArgOrEnv", message, name.span(), hint);
        }
    }

    fn port(&mut self, port: &Word) {
        let (numbers, protocol) = port.text().split_once('/').unwrap_or((port.text(), ""));
        if protocol != protocol.to_lowercase() && !protocol.contains('$') {
            let message = format!("protocol `{protocol}` should be in lower case");
            self.warn("ExposeProtoCasing", message, port.span());
        }
        if numbers.contains(':') && !numbers.contains('$') {
            let message = format!("`{numbers}`: EXPOSE takes ports only, no addresses and no host ports");
            self.warn("ExposeInvalidFormat", message, port.span());
        }
    }

    /// Experimental: a comment right above a definition should describe it.
    fn description(&mut self, instruction: &str, names: &[&str], comments: &[Spanned<String>], span: Span) {
        const CODE: &str = "InvalidDefinitionDescription";
        let Some(last) = comments.last() else { return };
        let first_word = last.value.split(' ').next().unwrap_or_default();
        if !names.contains(&first_word) {
            let message = format!("the comment above {instruction} does not describe it");
            let example = if let [name] = names { name } else { "<name>" };
            self.warn_with_hint(CODE, message, span, &format!("write `# {example} <description>`"));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Source, parse};

    fn codes(text: &str) -> Vec<(&'static str, String)> {
        let source = Source::new("Containerfile", text);
        let file = parse(&source).unwrap();
        let check = file.directives.check.map(|check| check.value).unwrap_or_default();
        file.warnings
            .iter()
            .filter(|warning| check.speaks(warning.code.unwrap()))
            .map(|warning| (warning.code.unwrap(), source.slice(warning.span).to_owned()))
            .collect()
    }

    #[test]
    fn each_rule_points_at_its_cause() {
        for (text, code, at) in [
            ("FROM a AS Build", "StageNameCasing", "Build"),
            ("FROM a as b", "FromAsCasing", "as"),
            ("from a AS b", "FromAsCasing", "AS"),
            ("FROM a AS b\nFROM c AS b", "DuplicateStageName", "b"),
            ("FROM a AS scratch", "ReservedStageName", "scratch"),
            ("FROM a\nRUN b\nCopy c d", "ConsistentInstructionCasing", "Copy"),
            ("from a\nrun b\nRUN c", "ConsistentInstructionCasing", "RUN"),
            ("FROM a\nMAINTAINER me", "MaintainerDeprecated", "MAINTAINER me"),
            ("FROM a\nENV b c d", "LegacyKeyValueFormat", "b c d"),
            ("FROM a\nLABEL b c", "LegacyKeyValueFormat", "b c"),
            ("FROM a\nCMD b", "JSONArgsRecommended", "CMD b"),
            ("FROM a\nCMD [\"b\"]\nCMD [\"c\"]", "MultipleInstructionsDisallowed", "CMD [\"b\"]"),
            ("FROM a\nENV DB_PASSWORD=x", "SecretsUsedInArgOrEnv", "DB_PASSWORD"),
            ("FROM a\nARG TOKEN", "SecretsUsedInArgOrEnv", "TOKEN"),
            ("FROM --platform=linux/amd64 a", "FromPlatformFlagConstDisallowed", "linux/amd64"),
            ("FROM --platform=$TARGETPLATFORM a", "RedundantTargetPlatform", "$TARGETPLATFORM"),
            ("FROM a\nEXPOSE 80/TCP", "ExposeProtoCasing", "80/TCP"),
            ("FROM a\nEXPOSE 127.0.0.1:80:80", "ExposeInvalidFormat", "127.0.0.1:80:80"),
            ("FROM a\nRUN b \\\n\n c", "NoEmptyContinuation", ""),
            ("# check=experimental=all\nFROM a\n# something\nARG b", "InvalidDefinitionDescription", "ARG b"),
        ] {
            assert_eq!(codes(text), [(code, at.to_owned())], "{text}");
        }
    }

    #[test]
    fn ordinary_text_is_silent() {
        for text in [
            "FROM a AS b\nRUN c\nCMD [\"d\"]",
            "from a as b\nrun c",
            "FROM a\nSHELL [\"/bin/bash\", \"-c\"]\nCMD b",
            "FROM a\nENV PUBLIC_KEY=x TOKEN_FILE=y MONKEY=z",
            "FROM --platform=linux/amd64 a AS linux-tools",
            "FROM --platform=$BUILDPLATFORM a",
            "FROM a\nEXPOSE $PORTS 80/tcp 90-91",
            "FROM a\n# anything\nARG b",
            "# check=experimental=all\nFROM a\n# b is good\nARG b",
        ] {
            assert_eq!(codes(text), [], "{text}");
        }
    }
}
