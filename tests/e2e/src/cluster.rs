//! A real API server of Kubernetes, with its etcd: what kubectl and the agent speak with. There are neither nodes
//! nor controllers, so the test makes what those would make.

mod asked;
mod groups;

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use serde_json::{Value, json};

pub use asked::Asked;
pub use groups::Group;

use crate::agent::until;
use crate::app::root;
use crate::deploy::{fine, helm};
use crate::process::{Process, Stream};
use crate::skip::missing;

/// How long the servers may take to start and to end.
const LIMIT: Duration = Duration::from_secs(120);

/// The password of who may do everything.
const ADMIN: &str = "admin-of-the-tests";

/// Where `tests/setup.sh --cluster` puts the API server, and the Prometheus operator's definitions.
fn built() -> PathBuf {
    root().join("target/e2e/cluster")
}

/// A running API server. It goes, with all its objects, when this is dropped.
pub struct Cluster {
    folder: PathBuf,
    etcd: String,
    port: u16,
    api: Option<Process>,
    // After the API server, which would wait for it.
    _etcd: Process,
}

/// A port that is free now; nobody else takes it in the meantime but by chance.
fn free() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

impl Cluster {
    /// What is missing to run one.
    #[must_use]
    pub fn missing() -> Option<String> {
        let setup = "is missing (run tests/setup.sh --cluster)";
        if !built().join("kube-apiserver").is_file() {
            return Some(format!("the API server of Kubernetes {setup}"));
        }
        match helm().map(|helm| helm.with_file_name("kubectl")) {
            Some(kubectl) if kubectl.is_file() => missing(&["etcd"]),
            _ => Some(format!("helm or kubectl {setup}")),
        }
    }

    /// Starts one without any objects; `name` is for its folder.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(name: &str) -> Result<Self> {
        let folder = root().join(format!("target/cluster-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let (own, peers) = (free()?, free()?);
        let url = |port: u16| format!("http://127.0.0.1:{port}");
        let mut etcd = Command::new("etcd");
        etcd.arg("--data-dir").arg(folder.join("etcd"));
        for (flag, value) in [
            ("listen-client-urls", url(own)),
            ("advertise-client-urls", url(own)),
            ("listen-peer-urls", url(peers)),
            ("initial-advertise-peer-urls", url(peers)),
            ("initial-cluster", format!("default={}", url(peers))),
        ] {
            etcd.arg(format!("--{flag}={value}"));
        }
        let etcd = Process::start("etcd", etcd)?;
        etcd.wait_for(Stream::Err, LIMIT, |line| {
            line.contains("serving insecure client requests")
                .then_some(())
        })?;
        let mut cluster = Self {
            folder,
            etcd: url(own),
            port: free()?,
            api: None,
            _etcd: etcd,
        };
        cluster.write_files()?;
        cluster.start_api()?;
        Ok(cluster)
    }

    fn write_files(&self) -> Result<()> {
        let write = |name: &str, text: &str| std::fs::write(self.folder.join(name), text);
        let accounts = rcgen::KeyPair::generate()?;
        write("accounts.key", &accounts.serialize_pem())?;
        write("accounts.pub", &accounts.public_key_pem())?;
        write(
            "tokens.csv",
            &format!("{ADMIN},admin,admin,system:masters\n"),
        )?;
        let policy = json!({
            "apiVersion": "audit.k8s.io/v1", "kind": "Policy",
            "omitStages": ["RequestReceived"], "rules": [{"level": "Metadata"}],
        });
        write("audit.yaml", &policy.to_string())?;
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}],
            "clusters": [{"name": "test", "cluster": {
                "server": format!("https://127.0.0.1:{}", self.port),
                "certificate-authority": self.folder.join("certs/apiserver.crt"),
            }}],
            "users": [{"name": "admin", "user": {"token": ADMIN}}],
        });
        Ok(write("kubeconfig", &config.to_string())?)
    }

    /// Starts the API server, again after [`Cluster::stop_api`], and waits until it is ready.
    ///
    /// # Errors
    /// When it does not become ready.
    pub fn start_api(&mut self) -> Result<()> {
        let mut command = Command::new(built().join("kube-apiserver"));
        let file = |name: &str| self.folder.join(name).display().to_string();
        for (flag, value) in [
            ("etcd-servers", self.etcd.clone()),
            ("bind-address", "127.0.0.1".into()),
            ("secure-port", self.port.to_string()),
            // It makes a certificate of its own there.
            ("cert-dir", file("certs")),
            // There is no node that would reach it.
            ("endpoint-reconciler-type", "none".into()),
            ("service-cluster-ip-range", "10.96.0.0/16".into()),
            (
                "service-account-issuer",
                "https://kubernetes.default.svc".into(),
            ),
            ("service-account-key-file", file("accounts.pub")),
            ("service-account-signing-key-file", file("accounts.key")),
            ("token-auth-file", file("tokens.csv")),
            ("authorization-mode", "RBAC".into()),
            ("audit-policy-file", file("audit.yaml")),
            ("audit-log-path", file("audit.log")),
        ] {
            command.arg(format!("--{flag}={value}"));
        }
        let api = Process::start("kube-apiserver", command)?;
        let ready = until("the API server is ready", || {
            ensure!(api.wait(Duration::ZERO).is_none(), "it ended");
            Ok(self
                .kubectl(&["get", "--raw", "/readyz"])
                .output()?
                .status
                .success())
        });
        if ready.is_err() {
            let ended = api.stop(Signal::KILL, LIMIT)?;
            ready.with_context(|| ended.err.join("\n"))?;
        }
        self.api = Some(api);
        Ok(())
    }

    /// Takes the API server away. Its objects stay.
    ///
    /// # Errors
    /// When it does not end.
    pub fn stop_api(&mut self) -> Result<()> {
        // Asked politely, it waits for watches to end.
        let api = self.api.take().context("it does not run")?;
        api.stop(Signal::KILL, LIMIT).map(drop)
    }

    /// A tool that finds the cluster as kubectl does.
    #[must_use]
    pub fn tool(&self, name: &str) -> Command {
        let mut command = Command::new(helm().unwrap_or_default().with_file_name(name));
        command
            .current_dir(root())
            .env("KUBECONFIG", self.folder.join("kubeconfig"))
            .env("HOME", &self.folder);
        command
    }

    /// kubectl with these arguments, as who may do everything.
    #[must_use]
    pub fn kubectl(&self, args: &[&str]) -> Command {
        let mut command = self.tool("kubectl");
        command.args(args);
        command
    }

    /// A file with this object.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn file(&self, object: &Value) -> Result<PathBuf> {
        let kind = object["kind"].as_str().unwrap_or_default();
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let file = self.folder.join(format!("{kind}-{name}.json"));
        std::fs::write(&file, object.to_string())?;
        Ok(file)
    }

    /// Makes an object, and returns what it has become.
    ///
    /// # Errors
    /// When the API server refuses it.
    pub fn create(&self, object: &Value) -> Result<Value> {
        let file = self.file(object)?;
        let mut command = self.kubectl(&["create", "--validate=strict", "-o", "json", "-f"]);
        Ok(serde_json::from_str(&fine(command.arg(file))?)?)
    }

    /// An object or a list of them.
    ///
    /// # Errors
    /// When there is none.
    pub fn get(&self, what: &[&str]) -> Result<Value> {
        let mut command = self.kubectl(&["get", "-o", "json"]);
        Ok(serde_json::from_str(&fine(command.args(what))?)?)
    }

    /// Lets the API server know the kinds of the Prometheus operator.
    ///
    /// # Errors
    /// When it does not take them.
    pub fn define_operator(&self) -> Result<()> {
        let files = built().join("operator");
        let mut apply = self.kubectl(&["apply", "--server-side", "-f"]);
        fine(apply.arg(&files))?;
        let mut wait = self.kubectl(&["wait", "--for=condition=Established", "-f"]);
        fine(wait.arg(&files)).map(drop)
    }

    /// The command in a pod's surroundings: the API server by variables, and the token of an account where pods have it.
    /// It is the command's own process, in a mount namespace of its own.
    ///
    /// # Errors
    /// When there is no such account.
    pub fn inside(&self, account: &str, namespace: &str, command: &Command) -> Result<Command> {
        let mut create = self.kubectl(&["create", "token", account, "-n", namespace]);
        let token = fine(&mut create)?;
        let secrets = self.folder.join("secrets");
        std::fs::create_dir_all(&secrets)?;
        std::fs::write(secrets.join("token"), token.trim())?;
        std::fs::write(secrets.join("namespace"), namespace)?;
        std::fs::copy(
            self.folder.join("certs/apiserver.crt"),
            secrets.join("ca.crt"),
        )?;
        let mut inside = Command::new("unshare");
        inside
            .args(["--mount", "sh", "-ec"])
            .arg(
                "mount -t tmpfs secrets /run; mkdir -p /run/secrets/kubernetes.io; \
                 cp -r \"$1\" /run/secrets/kubernetes.io/serviceaccount; shift; exec \"$@\"",
            )
            .arg("sh")
            .arg(&secrets)
            .arg(command.get_program())
            .args(command.get_args())
            .env("KUBERNETES_SERVICE_HOST", "127.0.0.1")
            .env("KUBERNETES_SERVICE_PORT", self.port.to_string())
            .env("HOME", "/nonexistent")
            .env_remove("KUBECONFIG");
        for (name, value) in command.get_envs() {
            inside.env(name, value.unwrap_or_default());
        }
        Ok(inside)
    }

    /// What an account has asked so far.
    ///
    /// # Errors
    /// When the API server's log can't be read.
    pub fn asked_by(&self, account: &str, namespace: &str) -> Result<Vec<Asked>> {
        let log = std::fs::read_to_string(self.folder.join("audit.log"))?;
        Asked::of(
            &log,
            &format!("system:serviceaccount:{namespace}:{account}"),
        )
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = self.stop_api();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
