//! The rules that a manifest and its config must obey together.

use crate::{Error, ImageConfig, Manifest, MediaType};

/// Checks that `manifest` and `config` describe one image.
///
/// The number of layers, of diff ids and of history entries that made a layer must agree: a runtime that trusts
/// history or `diff_ids` would otherwise show or build upon another image than the one that runs.
pub fn validate_image(manifest: &Manifest, config: &ImageConfig) -> Result<(), Error> {
    let refuse = |why: String| Err(Error::Inconsistent { what: "image", why });
    if manifest.schema_version != 2 {
        return refuse(format!("schemaVersion is {}, not 2", manifest.schema_version));
    }
    if manifest.media_type.as_ref().is_some_and(MediaType::is_index) {
        return refuse("the manifest calls itself an index".to_owned());
    }
    if config.rootfs.kind != "layers" {
        return refuse(format!("rootfs type is `{}`, not `layers`", config.rootfs.kind));
    }
    let (layers, diff_ids) = (manifest.layers.len(), config.rootfs.diff_ids.len());
    if layers != diff_ids {
        return refuse(format!("the manifest has {layers} layers and the config {diff_ids} diff ids"));
    }
    let made = config.history.iter().filter(|entry| !entry.empty_layer).count();
    if !config.history.is_empty() && made != diff_ids {
        return refuse(format!("the history tells of {made} layers and the config of {diff_ids}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Descriptor, DiffId, Digest, History};

    #[test]
    fn counts_must_agree() {
        let layer = Descriptor::of(MediaType::OCI_LAYER, b"x");
        let manifest = Manifest::new(Descriptor::of(MediaType::OCI_CONFIG, b"{}"), vec![layer]);
        let mut config = ImageConfig::default();
        assert!(validate_image(&manifest, &config).is_err());
        config.rootfs.diff_ids.push(DiffId(Digest::of(b"x")));
        assert!(validate_image(&manifest, &config).is_ok());
        config.history.push(History { empty_layer: true, ..History::default() });
        assert!(validate_image(&manifest, &config).is_err());
        config.history.push(History::default());
        assert!(validate_image(&manifest, &config).is_ok());
    }
}
