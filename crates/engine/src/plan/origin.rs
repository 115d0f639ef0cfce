//! Where files come from: what a `FROM`, a `--from=` or a `from=` names.
//!
//! Knows names and numbers; nothing is opened or fetched here.

use std::collections::BTreeMap;

use containerfile::Stage;
use oci::Reference;

use crate::error::{Cause, Error};
use crate::name::ImageName;
use crate::options::NamedContext;

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
#[derive(Debug, Clone, Default)]
pub(crate) struct Names {
    stages: BTreeMap<String, Vec<usize>>,
    contexts: BTreeMap<String, NamedContext>,
}

impl Names {
    pub(super) fn new(stages: &[Stage], contexts: &BTreeMap<String, NamedContext>) -> Self {
        let mut names = Self { stages: BTreeMap::new(), contexts: contexts.clone() };
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
        if let Some(stage) = self.stage(text, index) {
            return Ok(Origin::Stage(stage));
        }
        match text.parse::<usize>() {
            Ok(stage) if stage < index => Ok(Origin::Stage(stage)),
            Ok(_) => Err(self.unknown(text)),
            Err(_) => self.image(text, index),
        }
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
        let mut named: Vec<_> =
            self.stages.iter().flat_map(|(name, at)| at.iter().map(move |i| (*i, name))).collect();
        named.sort_unstable();
        let known = named.into_iter().map(|(_, name)| format!("`{name}`")).collect();
        Cause::UnknownStage { name: name.to_owned(), known }.into()
    }
}
