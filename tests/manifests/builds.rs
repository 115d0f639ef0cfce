//! Each manifest builds and pushes, unmodified but for the names of servers, in pods of its profiles.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Command;

use serde_json::json;
use tempfile::TempDir;
use test_support::{
    Auth, DockerRegistry, GitServer, Medium, Options, Output, Pod, Profile, RootFs, Tls, check_layout, each,
};

use crate::manifest::{Container, Manifest};
use crate::profiles;

const CONTAINERFILE: &str = "FROM scratch\nCOPY busybox /bin/busybox\n\
    RUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\n\
    RUN touch /made && chown 5:6 /made\nUSER 1000\nRUN test $(id -u) = 1000 && ! touch /bin/made\n";

const USER: &str = "me";
const PASSWORD: &str = "secret";

#[test]
fn each_manifest_builds_and_pushes_in_its_pods() {
    let tls = Tls::generate();
    let auth = Auth::Htpasswd(USER, PASSWORD);
    let registry = DockerRegistry::start(Options { tls: Some(&tls), auth, ..Options::default() });
    let cluster = Cluster::new(&registry, &tls);
    each(profiles(), |(profile, manifest)| cluster.run(profile, &manifest));
}

/// Everything that a manifest expects around it.
struct Cluster<'a> {
    registry: &'a DockerRegistry,
    /// The certificates of the registry's clients.
    certificates: TempDir,
    git: GitServer,
    /// The image with git(1).
    git_image: RootFs,
    /// The image of builder as `Containerfile` makes it, and the tree it is in.
    image: RootFs,
    _tree: TempDir,
    /// The same with what lets an ordinary user have many ids.
    image_with_ids: RootFs,
    /// The secret `registry-credentials`.
    secret: TempDir,
}

impl<'a> Cluster<'a> {
    fn new(registry: &'a DockerRegistry, tls: &Tls) -> Self {
        let git = GitServer::start();
        git.repository("app", |dir| {
            fs::write(dir.join("Containerfile"), CONTAINERFILE).unwrap();
            fs::copy("/bin/busybox", dir.join("busybox")).unwrap();
        });
        let certificates = tempfile::tempdir().unwrap();
        tls.fill_cert_dir(certificates.path());
        let program = |image: RootFs| {
            let ca = format!("etc/containers/certs.d/{}/ca.crt", registry.host());
            image
                .program(env!("CARGO_BIN_EXE_builder"), "usr/bin/builder")
                .file(&ca, fs::read(tls.ca_file()).unwrap())
        };
        let tree = tempfile::tempdir().unwrap();
        fs::set_permissions(tree.path(), Permissions::from_mode(0o755)).unwrap();
        Self {
            registry,
            certificates,
            git,
            git_image: RootFs::new().program("/usr/bin/git", "usr/bin/git"),
            image: program(RootFs::of(tree.path())),
            _tree: tree,
            image_with_ids: program(RootFs::new().with_subordinate_ids()),
            secret: secret(registry),
        }
    }

    /// Does what a kubelet does with the Job, and looks at what came of it.
    fn run(&self, profile: Profile, manifest: &Manifest) {
        let can_have_ids = profile.escalation && profile.uid != 0;
        let mut pod = Pod::new(profile, &self.git_image);
        for (path, volume) in manifest.mounts("containers") {
            pod = if volume["emptyDir"].is_object() {
                pod.empty_dir(&path, Medium::Disk)
            } else {
                assert_eq!(volume["secret"]["secretName"], "registry-credentials");
                pod.bind_read_only(self.secret.path(), &path)
            };
        }
        let (pod, _) = self.start(pod, profile, &manifest.container("initContainers"));
        let pod = pod.image(if can_have_ids { &self.image_with_ids } else { &self.image });
        let (pod, output) = self.start(pod, profile, &manifest.container("containers"));

        let promised = manifest.text.replace("\n# ", " ").contains("Steps run in namespaces");
        let isolation = if promised { "namespaces" } else { "trace" };
        assert!(output.stderr.contains(&format!("isolation: {isolation}")), "{}: {output}", profile.name);
        check_layout(pod.on_node("/var/lib/builder"));
        let told = fs::read_to_string(pod.on_node("/dev/termination-log")).unwrap();
        assert_eq!(told, self.pushed_digest(profile), "{}", profile.name);
    }

    /// Runs a container in a pod, with the names of our servers, and an image name of its own for each profile.
    fn start<'b>(&self, pod: Pod<'b>, profile: Profile, container: &Container) -> (Pod<'b>, Output) {
        let (repository, url) = (self.repository(profile), self.git.url("app"));
        let ours = |word: &String| {
            word.replace("registry.example/team/app", &repository)
                .replace("https://git.example/team/app.git", &url)
        };
        let argv: Vec<_> = container.argv.iter().map(ours).collect();
        let argv: Vec<_> = argv.iter().map(String::as_str).collect();
        let pod = container.env.iter().fold(pod, |pod, (name, value)| pod.env(name, value));
        let output = pod.run(&argv).success();
        (pod, output)
    }

    fn repository(&self, profile: Profile) -> String {
        format!("{}/{}/app", self.registry.host(), profile.name)
    }

    /// What the registry says of the image.
    fn pushed_digest(&self, profile: Profile) -> String {
        let output = Command::new("skopeo")
            .args(["inspect", "--format={{.Digest}}", &format!("--creds={USER}:{PASSWORD}"), "--cert-dir"])
            .arg(self.certificates.path())
            .arg(format!("docker://{}:1", self.repository(profile)))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

/// The volume of a secret, as a kubelet lays it out.
fn secret(registry: &DockerRegistry) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    fs::create_dir(dir.path().join("..2026")).unwrap();
    symlink("..2026", dir.path().join("..data")).unwrap();
    let auths = json!({ "auths": { registry.host(): { "username": USER, "password": PASSWORD } } });
    fs::write(dir.path().join("..2026/.dockerconfigjson"), auths.to_string()).unwrap();
    symlink("..data/.dockerconfigjson", dir.path().join(".dockerconfigjson")).unwrap();
    dir
}
