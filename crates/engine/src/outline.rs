//! What a Containerfile offers to whoever builds it: its targets, and what a target asks for. Nothing is built.
//!
//! The shapes are those of BuildKit's subrequests `outline` and `targets`, so that tools can read both.

use std::collections::BTreeSet;

use containerfile::{Containerfile, Instruction, MountSpec, Source, Span};
use serde::Serialize;

use crate::error::{Cause, Error};
use crate::options::{BuildOptions, Files};
use crate::plan::{Plan, PlannedStage};
use crate::scope::Scope;

/// What a target asks for.
#[derive(Debug, Default, Serialize)]
pub struct Outline {
    /// The name of the target.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// What the comment above it says.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The build arguments that it, or a stage that it needs, declares.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<Argument>,
    /// The secrets that their steps mount.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<Requested>,
    /// The ssh agents that their steps mount.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ssh: Vec<Requested>,
    /// The caches that their steps mount.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cache: Vec<Cache>,
}

/// A build argument.
#[derive(Debug, Serialize)]
pub struct Argument {
    /// Its name.
    pub name: String,
    /// What the comment above it says.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Its value without a build argument; empty if it has none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub value: String,
    /// Where it is declared.
    pub location: Location,
}

/// Something that the command line has to give.
#[derive(Debug, Serialize)]
pub struct Requested {
    /// Its id.
    pub name: String,
    /// Whether the build fails without it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub required: bool,
    /// Where it is mounted.
    pub location: Location,
}

/// A cache.
#[derive(Debug, Serialize)]
pub struct Cache {
    /// Its id.
    #[serde(rename = "ID")]
    pub id: String,
    /// Where it is mounted.
    pub location: Location,
}

/// A stage that can be built.
#[derive(Debug, Serialize)]
pub struct Target {
    /// Its name; empty for a stage without one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Whether it is built where no target is named.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub default: bool,
    /// What the comment above it says.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// What it starts from, as it is written.
    pub base: String,
    /// `--platform` as it is written.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub platform: String,
    /// Where it begins.
    pub location: Location,
}

/// Lines of the Containerfile.
#[derive(Debug, Serialize)]
pub struct Location {
    /// One range.
    pub ranges: [LineRange; 1],
}

/// The first and the last line.
#[derive(Debug, Serialize)]
pub struct LineRange {
    /// The first one.
    pub start: Line,
    /// The last one.
    pub end: Line,
}

/// A line, counted from 1.
#[derive(Debug, Serialize)]
pub struct Line {
    /// Its number.
    pub line: usize,
}

impl Location {
    /// The lines of `span`.
    pub fn of(source: &Source, span: Span) -> Self {
        let line = |offset| Line { line: source.position(offset).line };
        Self { ranges: [LineRange { start: line(span.start), end: line(span.end) }] }
    }
}

/// The stages of a Containerfile, in its order.
pub fn targets(files: &Files) -> Result<Vec<Target>, Error> {
    let source = &files.containerfile;
    let file = parse(files)?;
    let last = file.stages.len() - 1;
    let target = |(index, stage): (usize, &containerfile::Stage)| Target {
        name: stage.name.as_ref().map(|name| name.value.clone()).unwrap_or_default(),
        default: index == last,
        description: stage.description.clone().unwrap_or_default(),
        base: stage.from.image.text().to_owned(),
        platform: stage.from.platform.as_ref().map(|word| word.text().to_owned()).unwrap_or_default(),
        location: Location::of(source, stage.from.span),
    };
    Ok(file.stages.iter().enumerate().map(target).collect())
}

/// What the target of `options` asks for, in the order of the text.
pub fn outline(files: &Files, options: &BuildOptions) -> Result<Outline, Error> {
    let source = &files.containerfile;
    let plan = Plan::new(source, options)?;
    let target = targets(files)?.swap_remove(plan.target);
    let mut outline = Outline { name: target.name, description: target.description, ..Outline::default() };
    outline.globals(&parse(files)?, &plan, source);
    for stage in plan.stages.values() {
        outline.stage(stage, &plan, source);
    }
    Ok(outline)
}

fn parse(files: &Files) -> Result<Containerfile, Error> {
    let source_text = &files.containerfile;
    let syntax = |diagnostics| Cause::Syntax { source_text: source_text.clone(), diagnostics };
    Ok(containerfile::parse(source_text).map_err(syntax)?)
}

impl Outline {
    /// The ARGs before the first FROM that the FROMs of needed stages mention.
    fn globals(&mut self, file: &Containerfile, plan: &Plan, source: &Source) {
        let stages = plan.stages.keys().map(|index| &file.stages[*index].from);
        let words = stages.flat_map(|from| std::iter::once(&from.image).chain(&from.platform));
        let mentioned: BTreeSet<String> = words
            .filter_map(|word| word.expand(&|_| None, plan.escape).ok())
            .flat_map(|expanded| expanded.undefined)
            .collect();
        for declaration in file.global_args.iter().filter(|arg| mentioned.contains(arg.name.text())) {
            let name = declaration.name.text();
            self.args.push(Argument {
                name: name.to_owned(),
                description: declaration.description.clone().unwrap_or_default(),
                value: plan.globals.get(name).unwrap_or_default(),
                location: Location::of(source, declaration.span),
            });
        }
    }

    fn stage(&mut self, stage: &PlannedStage, plan: &Plan, source: &Source) {
        let mut scope = Scope::default();
        for sourced in &stage.statements {
            let statement = &sourced.statement;
            match &statement.instruction {
                Instruction::Arg(declarations) => {
                    for declaration in declarations {
                        let name = declaration.name.text();
                        let value =
                            scope.declare(declaration, &plan.globals, plan.escape, source).ok().flatten();
                        if self.args.iter().any(|known| known.name == name) {
                            continue;
                        }
                        self.args.push(Argument {
                            name: name.to_owned(),
                            description: declaration.description.clone().unwrap_or_default(),
                            value: value.unwrap_or_default(),
                            location: Location::of(source, statement.span),
                        });
                    }
                }
                Instruction::Run(run) => {
                    for mount in &run.mounts {
                        let expand = &mut |word: &containerfile::Word| {
                            Ok(word.expand(&|name| scope.get(name), plan.escape)?.value)
                        };
                        // A mount that makes no sense is an error of the build.
                        if let Ok(spec) = mount.resolve(expand) {
                            self.mount(spec, &Location::of(source, statement.span));
                        }
                    }
                }
                _ => {}
            }
        }
    }

    fn mount(&mut self, spec: MountSpec, location: &Location) {
        let [LineRange { start, end }] = &location.ranges;
        let here = || Location {
            ranges: [LineRange { start: Line { line: start.line }, end: Line { line: end.line } }],
        };
        let add = |list: &mut Vec<Requested>, name: String, required: bool| match list
            .iter_mut()
            .find(|known| known.name == name)
        {
            Some(known) => known.required |= required,
            None => list.push(Requested { name, required, location: here() }),
        };
        match spec {
            MountSpec::Secret(secret) => add(&mut self.secrets, secret.id, secret.required),
            MountSpec::Ssh(ssh) => add(&mut self.ssh, ssh.id, ssh.required),
            MountSpec::Cache(cache) => {
                let id = cache.id.unwrap_or(cache.target);
                if !self.cache.iter().any(|known| known.id == id) {
                    self.cache.push(Cache { id, location: here() });
                }
            }
            MountSpec::Bind(_) | MountSpec::Tmpfs(_) => {}
        }
    }
}
