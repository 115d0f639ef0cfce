//! Build contexts: directories of the user, each with the rules that hide a part of it.
//!
//! Knows nothing of instructions.

mod location;

pub use location::{Fetched, Location};

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use containerfile::Source;
use layer::{Owners, Root};

use crate::Shared;
use crate::copy::Filter;
use crate::error::{Cause, Error};
use crate::options::{BuildOptions, Files, NamedContext};
use crate::plan::{Origin, Plan};

/// In the order of precedence.
const IGNORE_FILES: [&str; 2] = [".containerignore", ".dockerignore"];

/// A directory whose files can be copied and mounted.
#[derive(Debug)]
pub(crate) struct Context {
    /// The directory.
    pub(crate) root: Root,
    /// What of it can be seen.
    pub(crate) filter: Filter,
}

/// The contexts of a build.
#[derive(Debug, Default)]
pub(crate) struct Contexts {
    /// The last argument of the command line.
    pub(crate) main: Option<Arc<Context>>,
    /// Those of `--build-context` that are directories.
    pub(crate) named: BTreeMap<String, Arc<Context>>,
    /// Copies of what can be seen of them: by what messages call the context, and the path in it.
    pub(crate) copies: Mutex<BTreeMap<(String, PathBuf), (PathBuf, Owners)>>,
}

impl Contexts {
    /// Opens the directory that is built in; those with names follow when it is known which are needed.
    pub(crate) fn open(files: &Files) -> Result<Self, Error> {
        let mut contexts = Self::default();
        if let Some(dir) = &files.context {
            let root = open(dir, "the build context")?;
            let filter = files.ignore.as_ref().map(Filter::parse).transpose()?.unwrap_or_default();
            contexts.main = Some(Arc::new(Context { root, filter }));
        }
        Ok(contexts)
    }
}

impl Shared {
    /// Opens the named contexts that `plan` needs, and fetches them first if they are elsewhere.
    pub(crate) fn open_named(
        &self,
        contexts: &mut Contexts,
        plan: &Plan,
        options: &BuildOptions,
    ) -> Result<(), Error> {
        for (origin, place) in plan.origins() {
            let Origin::Named(name) = origin else { continue };
            if let Some(known) = options.contexts.get(name).filter(|_| !contexts.named.contains_key(name)) {
                let context = self.named(name, known, options);
                let context = context.map_err(|error| error.at(place.clone()))?;
                contexts.named.insert(name.clone(), Arc::new(context));
            }
        }
        Ok(())
    }

    fn named(&self, name: &str, context: &NamedContext, options: &BuildOptions) -> Result<Context, Error> {
        let fetched = match context {
            NamedContext::Url(url) => self.fetch_context(Location::Url(url.clone()), options)?,
            NamedContext::Directory(dir) => Fetched::Own(dir.clone()),
            NamedContext::Image(_) | NamedContext::Stage(_) => {
                unreachable!("invariant: images and stages have origins of their own")
            }
        };
        let (Fetched::Own(dir) | Fetched::Unpacked(dir)) = fetched else {
            return Err(Cause::NoArchive { name: name.to_owned() }.into());
        };
        let root = open(&dir, &format!("the build context `{name}`"))?;
        let filter = own_filter(&root, name)?;
        Ok(Context { root, filter })
    }
}

fn open(dir: &Path, what: &str) -> Result<Root, Error> {
    Root::open(dir).map_err(|source| {
        Cause::Layer { action: format!("open {what} at `{}`", dir.display()), source }.into()
    })
}

/// The filter of the ignore file that lies in a context.
fn own_filter(root: &Root, name: &str) -> Result<Filter, Error> {
    for file in IGNORE_FILES {
        let path = format!("{name}:{file}");
        let content = root
            .read_bounded(Path::new(file), Source::MAX_SIZE)
            .map_err(|source| Cause::Layer { action: format!("read `{path}`"), source })?;
        if let Some(content) = content {
            let text = String::from_utf8(content).map_err(|_| Cause::InvalidArgument {
                what: "ignore file",
                text: path.clone(),
                why: "it is not UTF-8".to_owned(),
            })?;
            return Filter::parse(&Source::new(path, text));
        }
    }
    Ok(Filter::default())
}
