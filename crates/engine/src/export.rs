//! An image out of the store: as an image layout, as an archive, or as its root file system.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use layer::{Changeset, Compression, PackOptions, Timestamps};
use oci::{Descriptor, Reference};
use store::export::{self, Name};

use crate::Shared;
use crate::base::{Image, image_in};
use crate::error::{Cause, Error};
use crate::event::Event;
use crate::snapshot::Layer;

/// Where a stream goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A file, which appears when it is complete.
    File(PathBuf),
    /// Standard output.
    Stdout,
}

/// The form an image is written in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// An OCI image layout in a directory.
    OciLayout(PathBuf),
    /// A tar of an OCI image layout.
    OciArchive(Target),
    /// What `docker load` reads.
    DockerArchive(Target),
    /// A tar of the root file system.
    RootTar(Target),
    /// The root file system in a directory. With one id all its files are the user's, and devices are empty files.
    RootDirectory(PathBuf),
}

impl Shared {
    /// Writes the image to `output` under `names`.
    pub(crate) fn export(
        &self,
        image: &Descriptor,
        output: &Output,
        names: &[Reference],
    ) -> Result<(), Error> {
        let ref_names: Vec<_> = names.iter().map(Name::from).collect();
        let destination = match output {
            Output::OciLayout(dir) => {
                export::oci_layout(&self.store, image, &ref_names, dir)?;
                dir.display().to_string()
            }
            Output::OciArchive(target) => {
                write(target, |out| export::oci_archive(&self.store, image, &ref_names, out))?
            }
            Output::DockerArchive(target) => {
                write(target, |out| export::docker_archive(&self.store, image, names, out))?
            }
            Output::RootTar(target) => self.root_tar(image, target)?,
            Output::RootDirectory(dir) => self.root_directory(image, dir)?,
        };
        self.event(Event::Exported { destination });
        Ok(())
    }

    fn root_tar(&self, image: &Descriptor, target: &Target) -> Result<String, Error> {
        let layers = layers(&image_in(&self.store, image, "the built image")?);
        let view = self.host()?.driver.view(&layers)?;
        let failed = |source| Cause::Layer { action: "write the root file system".into(), source };
        let everything = Changeset::everything(view.root()).map_err(failed)?;
        let options = PackOptions {
            compression: Compression::None,
            timestamps: Timestamps::Keep,
            threads: 1,
            forbidden: None,
        };
        let mut packed = Ok(());
        let destination = write(target, |out| {
            // The store's writer knows the store's errors only; ours is kept beside it.
            packed = layer::pack(view.root(), &everything, &options, &mut *out).map(drop);
            Ok(())
        });
        packed.map_err(failed)?;
        destination
    }

    fn root_directory(&self, image: &Descriptor, dir: &Path) -> Result<String, Error> {
        let layers = layers(&image_in(&self.store, image, "the built image")?);
        let view = self.host()?.driver.view(&layers)?;
        std::fs::create_dir_all(dir).map_err(|source| Cause::Io {
            action: "make the directory",
            path: dir.to_owned(),
            source,
        })?;
        let failed = |source| Cause::Layer { action: format!("write to `{}`", dir.display()), source };
        // Nobody asks the table of this tree: there is no better way to write it with one id.
        let to = layer::Root::open_with(dir, self.host()?.keeping.owners()).map_err(failed)?;
        crate::snapshot::vfs::copy(view.root(), &to)?;
        Ok(dir.display().to_string())
    }
}

fn layers(image: &Image) -> Vec<Layer> {
    let descriptors = image.manifest.value().layers.iter();
    let layers = descriptors.zip(&image.config.value().rootfs.diff_ids);
    layers
        .map(|(descriptor, diff_id)| Layer {
            descriptor: descriptor.clone(),
            diff_id: *diff_id,
            origin: None,
        })
        .collect()
}

fn write(
    target: &Target,
    write: impl FnOnce(&mut dyn Write) -> Result<(), store::Error>,
) -> Result<String, Error> {
    match target {
        Target::File(path) => {
            export::to_file(path, write)?;
            Ok(path.display().to_string())
        }
        Target::Stdout => {
            let mut out = BufWriter::with_capacity(1 << 20, io::stdout().lock());
            write(&mut out)?;
            let flushed = out.flush();
            flushed.map_err(|source| Cause::Io {
                action: "write to",
                path: "standard output".into(),
                source,
            })?;
            Ok("standard output".to_owned())
        }
    }
}
