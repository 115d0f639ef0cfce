//! A parsed Containerfile → which stages are built, in which order, from what.
//!
//! Everything that can be refused without asking a registry or touching a disk is refused here. Names of stages become
//! numbers; stages that the target does not need are left out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use containerfile::{
    Containerfile, Diagnostic, Escape, Instruction, Run, Security, Source, Span, Stage, Statement, Word,
};
use oci::{Platform, Reference};

use crate::error::{Cause, Error, Place};
use crate::options::BuildOptions;
use crate::scope::{Globals, Scope};
use crate::warnings::warnings;

/// What a stage starts from, or files are copied from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Nothing.
    Scratch,
    /// An earlier stage.
    Stage(usize),
    /// An image.
    Image(Reference),
}

/// A stage that will be built.
#[derive(Debug)]
pub(crate) struct PlannedStage {
    /// Its number in the Containerfile.
    pub(crate) index: usize,
    /// Its name, or its number as text.
    pub(crate) name: String,
    /// What it starts from.
    pub(crate) base: Origin,
    /// The images that it copies from, and where each is written.
    pub(crate) images: Vec<(Reference, Place)>,
    /// Where its base is written.
    pub(crate) base_place: Place,
    /// The instructions, with the text that their spans point into.
    pub(crate) statements: Vec<Statement>,
}

/// What will be done.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The text.
    pub(crate) source: Arc<Source>,
    /// Warnings about the text and what it is built with.
    pub(crate) warnings: Vec<Diagnostic>,
    /// The escape character of the text.
    pub(crate) escape: Escape,
    /// Variables outside of stages.
    pub(crate) globals: Globals,
    /// All stages of the text by name, for `--from`.
    pub(crate) names: StageNames,
    /// The needed stages, each after those it needs. The last one is the target.
    pub(crate) stages: Vec<PlannedStage>,
}

/// The names of stages.
#[derive(Debug, Clone, Default)]
pub(crate) struct StageNames {
    by_name: BTreeMap<String, Vec<usize>>,
}

impl StageNames {
    fn new(stages: &[Stage]) -> Self {
        let mut names = Self::default();
        for (index, stage) in stages.iter().enumerate() {
            if let Some(name) = &stage.name {
                names.by_name.entry(name.value.clone()).or_default().push(index);
            }
        }
        names
    }

    /// The last stage before `before` that is called `name`, in any case of letters.
    fn find(&self, name: &str, before: usize) -> Option<usize> {
        let known = self.by_name.get(&name.to_lowercase())?;
        known.iter().rev().find(|index| **index < before).copied()
    }

    /// What `--from=TEXT` means in stage `before`: a stage by name or number, else an image.
    pub(crate) fn origin(&self, text: &str, before: usize) -> Result<Origin, Error> {
        if let Some(index) = self.find(text, before) {
            return Ok(Origin::Stage(index));
        }
        if let Ok(index) = text.parse::<usize>() {
            if index < before {
                return Ok(Origin::Stage(index));
            }
            let known = self.known();
            return Err(Cause::UnknownStage { name: text.to_owned(), known }.into());
        }
        image(text)
    }

    fn known(&self) -> Vec<String> {
        let mut named: Vec<_> =
            self.by_name.iter().flat_map(|(name, at)| at.iter().map(move |i| (*i, name))).collect();
        named.sort_unstable();
        named.into_iter().map(|(_, name)| format!("`{name}`")).collect()
    }
}

fn image(text: &str) -> Result<Origin, Error> {
    if text == "scratch" {
        return Ok(Origin::Scratch);
    }
    if let Some((transport, _)) = text.split_once(':').filter(|(head, _)| TRANSPORTS.contains(head)) {
        return Err(Cause::Unsupported { what: format!("an image from `{transport}:`") }.into());
    }
    let reference = text.parse().map_err(Cause::BadReference)?;
    Ok(Origin::Image(reference))
}

const TRANSPORTS: [&str; 7] =
    ["oci", "oci-archive", "docker-archive", "dir", "containers-storage", "docker-daemon", "oci-layout"];

impl Plan {
    /// Plans what `options` ask for.
    pub(crate) fn new(options: &BuildOptions) -> Result<Self, Error> {
        let source = Arc::clone(&options.containerfile);
        let syntax =
            |diagnostics| Cause::Syntax { source_text: Arc::clone(&options.containerfile), diagnostics };
        let file = containerfile::parse(&source).map_err(syntax)?;
        let names = StageNames::new(&file.stages);
        let target = target(&file, &names, options.target.as_deref())?;
        let stage_name = file.stages[target].name.as_ref().map_or("", |name| &name.value);
        let escape = file.directives.escape;
        let globals =
            Globals::new(&options.build_args, &options.platform, stage_name, &file.global_args, escape)
                .map_err(|diagnostic| syntax(vec![diagnostic]))?;
        let planner = Planner { source: &source, escape, globals: &globals, names: &names, file: &file };
        let stages = planner.stages(target, &options.platform)?;
        let warnings = warnings(&file, &options.build_args);
        Ok(Self { source, warnings, escape, globals, names, stages })
    }
}

fn target(file: &Containerfile, names: &StageNames, wanted: Option<&str>) -> Result<usize, Error> {
    let count = file.stages.len();
    let Some(wanted) = wanted.filter(|wanted| !wanted.is_empty()) else { return Ok(count - 1) };
    let numbered = || wanted.parse().ok().filter(|index| *index < count);
    names.find(wanted, count).or_else(numbered).ok_or_else(|| {
        let known = names.known();
        Cause::UnknownStage { name: wanted.to_owned(), known }.into()
    })
}

/// What a stage starts from, and what its instructions copy from.
type Origins = (Origin, Vec<(Origin, Place)>);

struct Planner<'a> {
    source: &'a Arc<Source>,
    escape: Escape,
    globals: &'a Globals,
    names: &'a StageNames,
    file: &'a Containerfile,
}

impl Planner<'_> {
    /// The stages that `target` needs, in the order of the text, which is one in which each comes after its needs.
    fn stages(&self, target: usize, platform: &Platform) -> Result<Vec<PlannedStage>, Error> {
        let mut scopes: BTreeMap<usize, Scope> = BTreeMap::new();
        let mut planned: BTreeMap<usize, Result<Origins, Error>> = BTreeMap::new();
        let mut needs: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
        // Needs point backwards only, but which stages are needed is known from the target on: plan all, keep some.
        for (index, stage) in self.file.stages.iter().enumerate().take(target + 1) {
            let base = self.base(stage, index, platform);
            let mut scope = match &base {
                Ok(Origin::Stage(parent)) => scopes.get(parent).cloned().unwrap_or_default(),
                _ => Scope::default(),
            };
            let mut needed = BTreeSet::new();
            if let Ok(Origin::Stage(parent)) = &base {
                needed.insert(*parent);
            }
            let sources = self.sources(stage, index, &mut scope);
            for (origin, _) in sources.iter().flatten() {
                if let Origin::Stage(stage) = origin {
                    needed.insert(*stage);
                }
            }
            scopes.insert(index, scope);
            needs.insert(index, needed);
            planned.insert(index, base.and_then(|base| Ok((base, sources?))));
        }
        let reachable = reachable(target, &needs);
        reachable.into_iter().map(|index| self.planned(index, planned.remove(&index))).collect()
    }

    fn planned(&self, index: usize, origins: Option<Result<Origins, Error>>) -> Result<PlannedStage, Error> {
        let stage = &self.file.stages[index];
        let (base, sources) = origins.expect("invariant: every reachable stage was planned")?;
        for statement in &stage.instructions {
            check(&statement.instruction).map_err(|error| error.at(self.place(statement.span)))?;
        }
        if let Some(after) = stage.from.after.first() {
            let what = "`FROM --after`".to_owned();
            return Err(Error::from(Cause::Unsupported { what }).at(self.place(after.span())));
        }
        Ok(PlannedStage {
            index,
            name: stage.name.as_ref().map_or_else(|| index.to_string(), |name| name.value.clone()),
            base,
            images: sources
                .into_iter()
                .filter_map(|(origin, place)| match origin {
                    Origin::Image(reference) => Some((reference, place)),
                    Origin::Stage(_) | Origin::Scratch => None,
                })
                .collect(),
            base_place: self.place(stage.from.image.span()),
            statements: stage.instructions.clone(),
        })
    }

    fn base(&self, stage: &Stage, index: usize, wanted: &Platform) -> Result<Origin, Error> {
        if let Some(word) = &stage.from.platform {
            let text = self.expand(word, &|name| self.globals.get(name))?;
            let at = |cause: Cause| Error::from(cause).at(self.place(word.span()));
            let platform: Platform = text.parse().map_err(|source: oci::Error| {
                at(Cause::InvalidArgument { what: "platform", text: text.clone(), why: source.to_string() })
            })?;
            if !wanted.satisfies(&platform) {
                return Err(at(Cause::Unsupported {
                    what: format!("a stage for {platform} in a build for {wanted}"),
                }));
            }
        }
        let word = &stage.from.image;
        let text = self.expand(word, &|name| self.globals.get(name))?;
        if text.is_empty() {
            return Err(Error::from(Cause::Empty { what: "the base image" }).at(self.place(word.span())));
        }
        match self.names.find(&text, index) {
            Some(stage) => Ok(Origin::Stage(stage)),
            None => image(&text).map_err(|error| error.at(self.place(word.span()))),
        }
    }

    /// What the instructions of a stage copy from. `scope` is what is known without any image.
    fn sources(&self, stage: &Stage, index: usize, scope: &mut Scope) -> Result<Vec<(Origin, Place)>, Error> {
        let mut sources = Vec::new();
        for statement in &stage.instructions {
            match &statement.instruction {
                Instruction::Arg(declarations) => {
                    for declaration in declarations {
                        scope.declare(declaration, self.globals, self.escape).map_err(|d| self.syntax(d))?;
                    }
                }
                Instruction::Env(pairs) => {
                    let before = scope.clone();
                    for pair in pairs {
                        let key = self.expand(&pair.key, &|name| before.get(name))?;
                        scope.set(&key, self.expand(&pair.value, &|name| before.get(name))?);
                    }
                }
                Instruction::Copy(copy) => {
                    if let Some(word) = &copy.from {
                        sources.push((self.from(word, index, scope)?, self.place(word.span())));
                    }
                }
                _ => {}
            }
        }
        Ok(sources)
    }

    fn from(&self, word: &Word, index: usize, scope: &Scope) -> Result<Origin, Error> {
        let text = self.expand(word, &|name| scope.get(name))?;
        if text.is_empty() {
            let cause = Cause::Empty { what: "the source of COPY --from" };
            return Err(Error::from(cause).at(self.place(word.span())));
        }
        self.names.origin(&text, index).map_err(|error| error.at(self.place(word.span())))
    }

    fn expand(&self, word: &Word, scope: &dyn Fn(&str) -> Option<String>) -> Result<String, Error> {
        word.expand(scope, self.escape).map(|expanded| expanded.value).map_err(|d| self.syntax(d))
    }

    fn syntax(&self, diagnostic: Diagnostic) -> Error {
        Cause::Syntax { source_text: Arc::clone(self.source), diagnostics: vec![diagnostic] }.into()
    }

    fn place(&self, span: Span) -> Place {
        Place { source: Arc::clone(self.source), span, label: None }
    }
}

fn reachable(target: usize, needs: &BTreeMap<usize, BTreeSet<usize>>) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    let mut pending = vec![target];
    while let Some(index) = pending.pop() {
        if found.insert(index) {
            pending.extend(needs.get(&index).into_iter().flatten());
        }
    }
    found
}

/// Refuses what is valid but cannot be done yet, so that nothing is ever dropped silently.
pub(crate) fn check(instruction: &Instruction) -> Result<(), Error> {
    let unsupported = |what: &str| Err(Cause::Unsupported { what: what.to_owned() }.into());
    match instruction {
        Instruction::Run(run) => check_run(run),
        Instruction::Copy(copy) if copy.link => unsupported("`COPY --link`"),
        Instruction::Copy(copy) if copy.parents => unsupported("`COPY --parents`"),
        Instruction::Copy(copy) if !copy.excludes.is_empty() => unsupported("`COPY --exclude`"),
        Instruction::Add(add) if add.link => unsupported("`ADD --link`"),
        Instruction::Add(add) if !add.excludes.is_empty() => unsupported("`ADD --exclude`"),
        Instruction::Add(add) if add.checksum.is_some() => unsupported("`ADD --checksum`"),
        Instruction::Add(add) if add.keep_git_dir.is_some() => unsupported("`ADD --keep-git-dir`"),
        Instruction::Onbuild(onbuild) => match onbuild.instruction.as_ref() {
            // What a trigger needs is decided by the build that it triggers in.
            Instruction::Onbuild(_) => unsupported("ONBUILD of ONBUILD"),
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}

fn check_run(run: &Run) -> Result<(), Error> {
    let unsupported = |what: &str| Err(Cause::Unsupported { what: what.to_owned() }.into());
    if !run.mounts.is_empty() {
        return unsupported("`RUN --mount`");
    }
    if !run.devices.is_empty() {
        return unsupported("`RUN --device`");
    }
    if run.security.as_ref().is_some_and(|security| security.value == Security::Insecure) {
        return unsupported("`RUN --security=insecure`");
    }
    if matches!(run.invocation(), containerfile::Invocation::Script { .. }) {
        return unsupported("a heredoc with an interpreter of its own (`#!`)");
    }
    Ok(())
}
