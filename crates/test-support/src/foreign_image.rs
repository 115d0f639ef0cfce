//! Images that no honest builder would make: any config, any layer.

use std::fs;
use std::path::Path;

use oci::Digest;
use serde_json::{Value, json};

/// Writes an OCI image layout with one image, named `latest`, to the new directory `dir`.
///
/// `layers` are uncompressed archives from the bottom up, stored as they are. `config` is an image config as JSON, to
/// which `history` is added, and `rootfs` if it has none.
pub fn write_image(dir: &Path, mut config: Value, layers: &[Vec<u8>]) {
    fs::create_dir_all(dir.join("blobs/sha256")).expect("making an image layout");
    fs::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("writing oci-layout");
    let diff_ids: Vec<_> = layers.iter().map(|layer| Digest::of(layer).to_string()).collect();
    if config.get("rootfs").is_none() {
        config["rootfs"] = json!({"type": "layers", "diff_ids": diff_ids});
    }
    config["history"] =
        layers.iter().map(|_| json!({"created": "2020-01-02T03:04:05Z", "created_by": "a test"})).collect();
    let media_type = |kind: &str| format!("application/vnd.oci.image.{kind}");
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": media_type("manifest.v1+json"),
        "config": blob(dir, &media_type("config.v1+json"), config.to_string().as_bytes()),
        "layers": layers.iter().map(|layer| blob(dir, &media_type("layer.v1.tar"), layer)).collect::<Vec<_>>(),
    });
    let mut manifest = blob(dir, &media_type("manifest.v1+json"), manifest.to_string().as_bytes());
    manifest["annotations"] = json!({"org.opencontainers.image.ref.name": "latest"});
    let index = json!({"schemaVersion": 2, "manifests": [manifest]});
    fs::write(dir.join("index.json"), index.to_string()).expect("writing index.json");
}

/// Writes a blob and returns its descriptor.
fn blob(dir: &Path, media_type: &str, bytes: &[u8]) -> Value {
    let digest = Digest::of(bytes);
    fs::write(dir.join("blobs/sha256").join(digest.hex()), bytes).expect("writing a blob");
    json!({"mediaType": media_type, "digest": digest.to_string(), "size": bytes.len()})
}
