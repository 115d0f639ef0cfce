//! What a command works with: a store, namespaces if it needs them, the engine, and a way to be interrupted.
//!
//! Puts the parts together in the one order that works: everything that needs a single thread comes first.

use std::sync::Arc;

use engine::{Engine, Host, StorageDriver};
use sandbox::{Cancellation, Choice, ProbeSettings, Requested};
use store::Store;

use crate::args::GlobalArgs;
use crate::error::Error;
use crate::interrupt;
use crate::progress::Progress;
use crate::settings::{self, Environment, StateDir};

/// An open store with what goes around it. Dropping it removes a temporary store.
#[derive(Debug)]
pub(crate) struct Session {
    store: Arc<Store>,
    choice: Option<Choice>,
    driver: StorageDriver,
    progress: Progress,
    cancel: Cancellation,
    // The last field: the store is closed before its directory is removed.
    _state: StateDir,
}

impl Session {
    /// Opens the store from inside the best namespaces there are, and says so in the first line of progress. Where there
    /// is no way to isolate a step, the first step says so: what has none needs none.
    ///
    /// To be called before any thread is started.
    pub(crate) fn enter(
        global: &GlobalArgs,
        requested: Requested,
        environment: &Environment,
        progress: Progress,
    ) -> Result<Self, Error> {
        let state = StateDir::settle(global.root.as_deref(), environment)?;
        let facts = sandbox::probe(state.path(), &ProbeSettings::default())?;
        let choice = sandbox::choose(&facts, requested)?;
        sandbox::enter(&choice)?;
        progress.note(&choice.to_string());
        Self::open(global, state, Some(choice), progress)
    }

    /// Opens the store for a command that runs nothing and unpacks no image.
    pub(crate) fn without_sandbox(
        global: &GlobalArgs,
        environment: &Environment,
        progress: Progress,
    ) -> Result<Self, Error> {
        let state = StateDir::settle(global.root.as_deref(), environment)?;
        Self::open(global, state, None, progress)
    }

    fn open(
        global: &GlobalArgs,
        state: StateDir,
        choice: Option<Choice>,
        progress: Progress,
    ) -> Result<Self, Error> {
        for note in settings::refuse_or_note(&global.foreign.0)? {
            progress.note(&note);
        }
        if let StateDir::Temporary(dir) = &state {
            let dir = dir.path().display();
            progress.note(&format!("the store {dir} is removed at the end; --root says where to keep one"));
        }
        let cancel = Cancellation::new()?;
        interrupt::cancel_on_signals(&cancel)?;
        let store = Arc::new(Store::open(state.path())?);
        let driver = settings::storage_driver(global.storage_driver);
        Ok(Self { store, choice, driver, progress, cancel, _state: state })
    }

    /// The store.
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// The store for one who changes what others may be using.
    ///
    /// Fails with [`store::Error::InUse`] while an engine of this session lives.
    pub(crate) fn store_alone(&mut self) -> Result<&mut Store, Error> {
        let path = self.store.dir().to_owned();
        Arc::get_mut(&mut self.store).ok_or_else(|| store::Error::InUse { path }.into())
    }

    /// Where to tell what happens.
    pub(crate) fn progress(&self) -> &Progress {
        &self.progress
    }

    /// An engine that talks to registries in this way.
    pub(crate) fn engine(&self, registry: registry::Settings) -> Result<Engine, Error> {
        let registry = registry::Client::new(registry).map_err(|source| Error::Registry { source })?;
        let (store, events, cancel) = (Arc::clone(&self.store), self.progress.events(), self.cancel.clone());
        match &self.choice {
            None => Ok(Engine::without_sandbox(store, registry, events, cancel)?),
            Some(choice) => {
                let (choice, driver) = (choice.clone(), self.driver);
                Ok(Engine::new(Host { store, registry, choice, driver, events, cancel })?)
            }
        }
    }
}
