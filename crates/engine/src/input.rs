//! What steps read: an [`Origin`] becomes a tree, a source of COPY becomes the files it names.

use std::sync::Arc;

use layer::Root;

use crate::context::Context;
use crate::copy::{CopyOp, Filter, Match, select};
use crate::error::{Cause, Error};
use crate::plan::Origin;
use crate::remote::{Downloaded, Remote};
use crate::snapshot::{Layer, View};
use crate::solve::Solver;

/// Hides nothing.
pub(crate) static ALL: Filter = Filter::all();

/// A tree that is only read.
pub(crate) struct Reading {
    tree: Tree,
    /// What messages call it.
    pub(crate) name: String,
}

enum Tree {
    Empty,
    Context(Arc<Context>),
    View(Box<dyn View>),
}

impl Reading {
    /// Its root; `None` if it is empty.
    pub(crate) fn root(&self) -> Option<&Root> {
        match &self.tree {
            Tree::Empty => None,
            Tree::Context(context) => Some(&context.root),
            Tree::View(view) => Some(view.root()),
        }
    }

    /// What of it can be seen.
    pub(crate) fn filter(&self) -> &Filter {
        match &self.tree {
            Tree::Context(context) => &context.filter,
            Tree::Empty | Tree::View(_) => &ALL,
        }
    }

    /// Whether owners of its files mean anything: those of a context are of whoever checked it out.
    pub(crate) fn keeps_owners(&self) -> bool {
        !matches!(self.tree, Tree::Context(_))
    }
}

/// Files from one tree that a COPY or ADD puts into place.
pub(crate) struct Group {
    /// Where they are.
    pub(crate) reading: Reading,
    /// Which they are.
    pub(crate) matches: Vec<Match>,
    /// Whether archives among them are unpacked.
    pub(crate) unpack: bool,
}

impl Solver<'_> {
    /// The tree that `origin` means. `instruction` is whoever asks.
    pub(crate) fn reading(&self, origin: &Origin, instruction: &'static str) -> Result<Reading, Error> {
        Ok(match origin {
            Origin::Scratch => Reading { tree: Tree::Empty, name: "scratch, which is empty".to_owned() },
            Origin::Context => {
                let Some(context) = &self.contexts.main else {
                    return Err(Cause::NoContext { instruction }.into());
                };
                Reading { tree: Tree::Context(Arc::clone(context)), name: "the build context".to_owned() }
            }
            Origin::Named(name) => {
                let context = self.contexts.named.get(name).ok_or_else(|| unplanned(instruction))?;
                let tree = Tree::Context(Arc::clone(context));
                Reading { tree, name: format!("the build context `{name}`") }
            }
            Origin::Stage(index) => {
                let state = self.stages.get(index).ok_or_else(|| unplanned(instruction))?;
                let name = self.plan.stages.get(index).map_or("", |stage| &stage.name);
                Reading { tree: self.view(&state.layers)?, name: format!("stage `{name}`") }
            }
            Origin::Image(reference) => {
                let base = self.bases.of(reference, &self.options.platform);
                let base = base.ok_or_else(|| unplanned(instruction))?;
                Reading { tree: self.view(&base.layers)?, name: format!("the image `{reference}`") }
            }
        })
    }

    fn view(&self, layers: &[Layer]) -> Result<Tree, Error> {
        self.shared.fetch(layers)?;
        Ok(Tree::View(self.shared.host()?.driver.view(layers)?))
    }

    /// What a COPY or ADD reads, in the order of its sources.
    pub(crate) fn groups(&self, op: &CopyOp) -> Result<Vec<Group>, Error> {
        let mut groups: Vec<Group> = Vec::new();
        let mut is_local = false;
        for source in &op.sources {
            let at = |error: Error| error.at(source.place.clone());
            if let Some(remote) = &source.remote {
                groups.push(self.fetched(remote, op).map_err(at)?);
                is_local = false;
                continue;
            }
            // Paths one behind the other are one group: hard links among them are kept.
            if !is_local {
                let reading = self.reading(&op.from, op.instruction)?;
                groups.push(Group { reading, matches: Vec::new(), unpack: op.unpack.0 });
                is_local = true;
            }
            if let Some(group) = groups.last_mut() {
                group.matches.extend(select(&group.reading, &source.path, op).map_err(at)?);
            }
        }
        Ok(groups)
    }

    /// What is elsewhere, in a directory of its own.
    fn fetched(&self, remote: &Remote, op: &CopyOp) -> Result<Group, Error> {
        let (dir, name) = match remote {
            Remote::File(url) => {
                let Downloaded { dir, name } =
                    self.shared.download(url, op.checksum.as_ref(), &self.options.secrets)?;
                (dir, Some(name))
            }
            Remote::Repository(url) => (self.shared.check_out(url, self.options)?, None),
        };
        let root = Root::open(&dir)
            .map_err(|source| Cause::Layer { action: format!("open `{}`", dir.display()), source })?;
        let tree = Tree::Context(Arc::new(Context { root, filter: Filter::all() }));
        let reading = Reading { tree, name: remote.shown() };
        let (matches, unpack) = match name {
            Some(name) => (vec![Match::file(&name)], op.unpack.1),
            None => (select(&reading, "/", op)?, false),
        };
        Ok(Group { reading, matches, unpack })
    }
}

/// Which stages and images are needed is known before any image is, so its variables cannot choose one.
fn unplanned(instruction: &'static str) -> Error {
    let what = "origin of files";
    let why = "it depends on a variable of the base image; use an ARG or ENV of this file".to_owned();
    Cause::InvalidArgument { what, text: instruction.to_owned(), why }.into()
}
