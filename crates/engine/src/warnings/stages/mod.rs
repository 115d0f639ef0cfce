//! Lint rules that need the values of variables, the base images or the build context: what is worth a warning in the
//! stages of a plan.
//!
//! By BuildKit's names and with its conditions; the rules at the end are for what other builders do otherwise.

mod variables;

use std::collections::BTreeMap;
use std::path::Path;

use containerfile::{Diagnostic, Escape, Heredoc, Instruction, Statement, Word};

use crate::base::Bases;
use crate::copy::Filter;
use crate::plan::{Origin, Plan, PlannedStage, Sourced};
use crate::scope::Scope;

/// Where links to directories of /usr and /run stand in today's distributions.
const LINKED: [&str; 8] = ["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/var/run", "/var/lock"];

/// What is known of a stage at some point of it.
#[derive(Debug, Clone)]
struct Known {
    /// The variables, if those of the base image are known.
    scope: Option<Scope>,
    /// Whether this file has set a working directory.
    has_workdir: bool,
    /// The volumes declared in this file.
    volumes: Vec<String>,
}

/// The warnings of the needed stages. Without `bases`, nothing is said of the variables of stages on images. `filter` is
/// what the ignore file hides of the context.
pub(crate) fn warnings(plan: &Plan, bases: &Bases, filter: &Filter) -> Vec<Diagnostic> {
    let mut known: BTreeMap<usize, Known> = BTreeMap::new();
    let mut linter = Linter { plan, filter, warnings: Vec::new() };
    for index in plan.order().unwrap_or_default() {
        let stage = &plan.stages[&index];
        let mut here = start(stage, &known, bases);
        linter.platform(stage, bases);
        // What the triggers of a base say is not this file's to change.
        let own = |sourced: &&Sourced| sourced.source == plan.source;
        for sourced in stage.statements.iter().filter(own) {
            linter.statement(&sourced.statement, &mut here);
        }
        known.insert(index, here);
    }
    linter.warnings
}

fn start(stage: &PlannedStage, known: &BTreeMap<usize, Known>, bases: &Bases) -> Known {
    let of_env = |env: &[String]| {
        let mut scope = Scope::of_image(env);
        if scope.get("PATH").is_none() {
            scope.set("PATH", String::new());
        }
        scope
    };
    let scope = match &stage.base {
        Origin::Stage(parent) => {
            let unknown = || Known { scope: None, has_workdir: false, volumes: Vec::new() };
            return known.get(parent).cloned().unwrap_or_else(unknown);
        }
        Origin::Image(name) => {
            bases.of(name, &stage.platform).map(|base| of_env(&base.config.value().config.env))
        }
        Origin::Scratch | Origin::Context | Origin::Named(_) => Some(of_env(&[])),
    };
    Known { scope, has_workdir: false, volumes: Vec::new() }
}

struct Linter<'a> {
    plan: &'a Plan,
    filter: &'a Filter,
    warnings: Vec<Diagnostic>,
}

impl Linter<'_> {
    fn escape(&self) -> Escape {
        self.plan.escape
    }

    /// `InvalidBaseImagePlatform`.
    fn platform(&mut self, stage: &PlannedStage, bases: &Bases) {
        let Origin::Image(name) = &stage.base else { return };
        let Some(found) = bases.of(name, &stage.platform).map(crate::base::Base::platform) else { return };
        if !found.satisfies(&stage.platform) {
            let message = format!("`{name}` is for {found}, and {} was asked for", stage.platform);
            let warning = Diagnostic::warning("InvalidBaseImagePlatform", message, stage.base_place.span);
            self.warnings.push(warning.with_note("its programs may not run here"));
        }
    }

    fn statement(&mut self, statement: &Statement, known: &mut Known) {
        let instruction = &statement.instruction;
        self.undefined(instruction, known);
        match instruction {
            Instruction::Workdir(word) => self.workdir(word, known),
            Instruction::Copy(copy) => {
                let is_context = copy.from.is_none();
                self.sources(&copy.sources, is_context, known);
                self.destination(
                    &copy.destination,
                    copy.sources.len() + copy.heredocs.len(),
                    copy.link,
                    known,
                );
                self.heredocs(&copy.heredocs, known);
            }
            Instruction::Add(add) => {
                self.sources(&add.sources, true, known);
                self.destination(&add.destination, add.sources.len() + add.heredocs.len(), add.link, known);
                self.heredocs(&add.heredocs, known);
            }
            Instruction::Volume(words) => {
                let paths: Vec<_> = words.iter().filter_map(|word| self.value(word, known)).collect();
                known.volumes.extend(paths);
            }
            Instruction::Run(run) => {
                if let containerfile::CommandLine::Shell(text) = &run.command {
                    self.run(&text.value, statement, known);
                }
            }
            _ => {}
        }
        self.declare(instruction, known);
    }

    /// `WorkdirRelativePath`: what a base image has set may change with it.
    fn workdir(&mut self, word: &Word, known: &mut Known) {
        let value = self.value(word, known).unwrap_or_else(|| word.text().to_owned());
        if !known.has_workdir && !value.starts_with(['/', '$']) {
            let message = format!("the directory `{value}` is relative to what the base image has set");
            let warning = Diagnostic::warning("WorkdirRelativePath", message, word.span());
            self.warnings
                .push(warning.with_hint(format!("write `/{value}`, or an absolute WORKDIR before it")));
        }
        known.has_workdir = true;
    }

    /// `CopyIgnoredFile`.
    fn sources(&mut self, sources: &[Word], is_context: bool, known: &Known) {
        for word in sources.iter().filter(|_| is_context) {
            let Some(value) = self.value(word, known) else { continue };
            let path = value.trim_start_matches("./").trim_start_matches('/').trim_end_matches('/');
            let rule = self.filter.hidden_by(Path::new(path));
            if let Some(rule) = rule.filter(|_| !self.filter.allows(Path::new(path), true)) {
                let message = format!("`{value}` is hidden by the ignore file");
                let note = format!("it is excluded by {}:{} (`{}`)", rule.file, rule.line, rule.pattern);
                let warning = Diagnostic::warning("CopyIgnoredFile", message, word.span());
                self.warnings.push(warning.with_note(note));
            }
        }
    }

    /// Rules of our own about where files go.
    fn destination(&mut self, word: &Word, sources: usize, link: bool, known: &Known) {
        let Some(value) = self.value(word, known) else { return };
        if sources > 1 && !value.ends_with(['/', '.']) {
            let message = format!("without a `/` at its end, `{value}` is a file that each source replaces");
            let warning = Diagnostic::warning("SeveralSourcesIntoFile", message, word.span());
            self.warnings.push(warning.with_hint(format!("write `{value}/`")));
        }
        let is_below =
            |dir: &str| value.strip_prefix(dir).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if let Some(dir) = LINKED.into_iter().find(|dir| link && is_below(dir)) {
            let message = format!("--link replaces `{dir}` where that is a link to a directory");
            let warning = Diagnostic::warning("LinkThroughSymlink", message, word.span());
            self.warnings
                .push(warning.with_hint("copy to the directory that it leads to, such as `/usr/bin`"));
        }
        if let Some(volume) = known.volumes.iter().find(|volume| is_below(volume.trim_end_matches('/'))) {
            let message =
                format!("`{value}` is in the volume `{volume}`: other builders drop what is written there");
            self.warnings.push(Diagnostic::warning("WriteAfterVolume", message, word.span()));
        }
    }

    /// `WriteAfterVolume` of a RUN, as far as its text tells.
    fn run(&mut self, text: &str, statement: &Statement, known: &Known) {
        let is_named = |volume: &&String| {
            let volume = volume.trim_end_matches('/');
            let words = text.split(|c: char| c.is_whitespace() || "'\"=;&|()<>".contains(c));
            let mut words = words.filter_map(|word| word.strip_prefix(volume));
            volume.len() > 1 && words.any(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if let Some(volume) = known.volumes.iter().find(is_named) {
            let message =
                format!("this RUN mentions the volume `{volume}`: other builders drop what it writes there");
            let warning = Diagnostic::warning("WriteAfterVolume", message, statement.keyword);
            self.warnings.push(warning.with_hint("declare the VOLUME after everything that fills it"));
        }
    }

    /// `QuotedHeredoc`: a file whose variables look as if they were meant.
    fn heredocs(&mut self, heredocs: &[Heredoc], known: &Known) {
        let Some(scope) = &known.scope else { return };
        for heredoc in heredocs.iter().filter(|heredoc| !heredoc.expand) {
            let unquoted = Heredoc { expand: true, ..heredoc.clone() };
            let Ok(expanded) = unquoted.expand(&|name| scope.get(name)) else { continue };
            let declared = expanded.defined.iter().find(|name| scope.declares(name));
            if let Some(name) = declared {
                let message =
                    format!("`${name}` stays as it is, since the delimiter of the heredoc is quoted");
                let warning = Diagnostic::warning("QuotedHeredoc", message, heredoc.span);
                self.warnings
                    .push(warning.with_hint(format!("write `<<{}` to have its value", heredoc.name)));
            }
        }
    }

    /// The value of a word, if everything that it mentions is known.
    fn value(&self, word: &Word, known: &Known) -> Option<String> {
        if !word.text().contains('$') {
            return Some(word.expand(&|_| None, self.escape()).ok()?.value);
        }
        let scope = known.scope.as_ref()?;
        Some(word.expand(&|name| scope.get(name), self.escape()).ok()?.value)
    }
}

#[cfg(test)]
mod tests;
