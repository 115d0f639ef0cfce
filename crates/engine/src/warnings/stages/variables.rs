//! `UndefinedVar`: variables that are mentioned and never set.

use std::collections::BTreeSet;

use containerfile::{Diagnostic, Instruction, Mount, Word, closest};

use super::{Known, Linter};

impl Linter<'_> {
    /// Warns of each variable that `instruction` mentions and nothing before it has set or declared.
    pub(super) fn undefined(&mut self, instruction: &Instruction, known: &Known) {
        let Some(scope) = &known.scope else { return };
        let names: Vec<&str> = scope.variables().iter().map(|(name, _)| name.as_str()).collect();
        let declared: Vec<&str> = scope.args().into_iter().map(|(name, _)| name).collect();
        for word in words(instruction) {
            let Ok(expanded) = word.expand(&|name| scope.get(name), self.plan.escape) else { continue };
            for name in expanded.undefined.iter().filter(|name| !declared.contains(&name.as_str())) {
                let message = format!("`${name}` has no value: no ARG and no ENV before it sets it");
                let close = closest(name, names.iter().chain(&declared).copied());
                let close = close.map(|close| format!("${close}"));
                let warning = Diagnostic::warning("UndefinedVar", message, word.span());
                self.warnings.push(warning.with_suggestion(close.as_deref()));
            }
        }
    }

    /// What an ARG or ENV makes known.
    pub(super) fn declare(&mut self, instruction: &Instruction, known: &mut Known) {
        let Some(scope) = &mut known.scope else { return };
        let escape = self.plan.escape;
        match instruction {
            Instruction::Arg(declarations) => {
                for declaration in declarations {
                    // A failed expansion is an error of the build, which says more.
                    scope.declare(declaration, &self.plan.globals, escape, &self.plan.source).ok();
                }
            }
            Instruction::Env(pairs) => {
                let before = scope.clone();
                for pair in pairs {
                    let value = |word: &Word| Some(word.expand(&|name| before.get(name), escape).ok()?.value);
                    if let (Some(name), Some(value)) = (value(&pair.key), value(&pair.value)) {
                        scope.set(&name, value);
                    }
                }
            }
            _ => {}
        }
    }
}

/// The words of an instruction in which variables are replaced.
fn words(instruction: &Instruction) -> Vec<&Word> {
    match instruction {
        Instruction::Add(add) => {
            let flags = [&add.chown, &add.chmod, &add.checksum].into_iter().flatten();
            flags.chain(&add.sources).chain([&add.destination]).collect()
        }
        Instruction::Copy(copy) => {
            let flags = [&copy.from, &copy.chown, &copy.chmod].into_iter().flatten();
            flags.chain(&copy.sources).chain([&copy.destination]).collect()
        }
        Instruction::Arg(declarations) => {
            declarations.iter().filter_map(|declaration| declaration.default.as_ref()).collect()
        }
        Instruction::Env(pairs) | Instruction::Label(pairs) => {
            pairs.iter().flat_map(|pair| [&pair.key, &pair.value]).collect()
        }
        Instruction::Expose(words) | Instruction::Volume(words) => words.iter().collect(),
        Instruction::Stopsignal(word) | Instruction::User(word) | Instruction::Workdir(word) => vec![word],
        Instruction::Run(run) => {
            // An option of a mount may be named twice, but its variable is one.
            let options = run.mounts.iter().flat_map(|mount: &Mount| &mount.options);
            let mut seen = BTreeSet::new();
            options
                .filter_map(|option| option.value.as_ref())
                .filter(|word| seen.insert(word.text()))
                .collect()
        }
        _ => Vec::new(),
    }
}
