//! Where files come from: what a `FROM`, a `--from=` or a `from=` names.
//!
//! Knows names and numbers; nothing is opened or fetched here.

use std::collections::BTreeMap;
use std::sync::Arc;

use containerfile::{Stage, closest};
use oci::Reference;

use crate::error::{Cause, Error};
use crate::name::ImageName;
use crate::options::NamedContext;

/// What a reference has around a name that stands alone.
const LIBRARY: &str = "docker.io/library/";
const LATEST: &str = ":latest";

/// As many stages are named to whoever looks for one that there is not.
const SHOWN: usize = 20;

/// A tree that a stage starts from, or that something is copied or mounted from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Nothing.
    Scratch,
    /// The build context.
    Context,
    /// A directory that `--build-context` names.
    Named(String),
    /// Another stage.
    Stage(usize),
    /// An image.
    Image(ImageName),
}

/// Everything that can be named.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    stages: BTreeMap<String, Vec<usize>>,
    /// The number of stages.
    count: usize,
    /// The first of the names, for messages.
    known: Arc<str>,
    contexts: BTreeMap<String, NamedContext>,
}

impl Names {
    pub(super) fn new(stages: &[Stage], contexts: &BTreeMap<String, NamedContext>) -> Self {
        let (count, known) = (stages.len(), listed(stages));
        let mut names = Self { stages: BTreeMap::new(), count, known, contexts: contexts.clone() };
        for (index, stage) in stages.iter().enumerate() {
            if let Some(name) = &stage.name {
                names.stages.entry(name.value.clone()).or_default().push(index);
            }
        }
        names
    }

    /// The last stage before `before` that is called `name`, in any case of letters.
    pub(super) fn stage(&self, name: &str, before: usize) -> Option<usize> {
        let known = self.stages.get(&name.to_lowercase())?;
        known.iter().rev().find(|index| **index < before).copied()
    }

    /// What `FROM text` means as stage `index`: a named context, an earlier stage by name, else an image.
    pub(super) fn base(&self, text: &str, index: usize) -> Result<Origin, Error> {
        if let Some(origin) = self.context(text, index)? {
            return Ok(origin);
        }
        self.stage(text, index).map_or_else(|| self.image(text, index), |stage| Ok(Origin::Stage(stage)))
    }

    /// What `--from=text` means in stage `index`: a named context, an earlier stage by name or number, else an image.
    pub(crate) fn source(&self, text: &str, index: usize) -> Result<Origin, Error> {
        if let Some(origin) = self.context(text, index)? {
            return Ok(origin);
        }
        let numbered = || text.parse().ok().filter(|number| *number < self.count);
        // As in BuildKit, a name of a later stage is never that of an image.
        match self.stage(text, index).or_else(|| self.stage(text, self.count)).or_else(numbered) {
            Some(stage) if stage < index => Ok(Origin::Stage(stage)),
            Some(stage) if stage == index => Err(Cause::Cycle { stage: text.to_owned() }.into()),
            Some(_) => Err(Cause::LateStage { name: text.to_owned() }.into()),
            None if is_number(text) => Err(self.unknown(text)),
            None => self.image(text, index),
        }
    }

    /// What else `image` may have been meant to be in stage `index`: a stage before it, or a named context.
    pub(crate) fn near(&self, image: &ImageName, index: usize) -> Option<String> {
        // Nothing but a name alone could have been meant for one of these.
        let reference = image.reference()?.to_string();
        let name = reference.strip_prefix(LIBRARY)?.strip_suffix(LATEST)?;
        let earlier = self.stages.iter().filter(|(_, at)| at.iter().any(|stage| *stage < index));
        let stages = earlier.map(|(stage, _)| stage.as_str());
        if let Some(stage) = closest(name, stages) {
            return Some(format!("did you mean the stage `{stage}`?"));
        }
        let context = closest(name, self.contexts.keys().map(String::as_str))?;
        Some(format!("did you mean the build context `{context}`?"))
    }

    fn image(&self, text: &str, index: usize) -> Result<Origin, Error> {
        if text == "scratch" {
            return Ok(Origin::Scratch);
        }
        let name = ImageName::parse(text)?;
        // An image may be overridden under any of its spellings.
        let named = self.context(&name.to_string(), index)?;
        Ok(named.unwrap_or(Origin::Image(name)))
    }

    /// What `--build-context` says of `name`; the names there are in lower case.
    fn context(&self, name: &str, index: usize) -> Result<Option<Origin>, Error> {
        let is_named = |known: &&String| **known == name.to_lowercase();
        let is_image =
            |known: &&String| known.parse::<Reference>().is_ok_and(|known| known.to_string() == name);
        let key = self.contexts.keys().find(is_named).or_else(|| self.contexts.keys().find(is_image));
        let Some(key) = key else { return Ok(None) };
        Ok(Some(match &self.contexts[key] {
            NamedContext::Directory(_) | NamedContext::Url(_) => Origin::Named(key.clone()),
            NamedContext::Image(name) => Origin::Image(name.clone()),
            NamedContext::Stage(stage) => match self.stage(stage, usize::MAX).filter(|found| *found != index)
            {
                Some(found) => Origin::Stage(found),
                None => return Err(self.unknown(stage)),
            },
        }))
    }

    /// The error for a stage that there is not.
    pub(super) fn unknown(&self, name: &str) -> Error {
        let names = || self.stages.keys().map(String::as_str);
        let close = if is_number(name) { None } else { closest(name, names()) };
        let (name, known) = (name.to_owned(), Arc::clone(&self.known));
        Cause::UnknownStage { name, known, close: close.map(str::to_owned) }.into()
    }
}

fn is_number(text: &str) -> bool {
    text.parse::<usize>().is_ok()
}

/// The names of the first stages, for whoever looks for one that there is not.
fn listed(stages: &[Stage]) -> Arc<str> {
    let mut names =
        stages.iter().filter_map(|stage| stage.name.as_ref()).map(|name| format!("`{}`", name.value));
    let mut first: Vec<_> = names.by_ref().take(SHOWN).collect();
    first.extend(names.next().map(|_| "…".to_owned()));
    first.join(", ").into()
}
