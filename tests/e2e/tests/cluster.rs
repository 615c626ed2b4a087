//! What is in `deploy/`, and the agent, on a real API server of Kubernetes: its own validation, its own RBAC.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail, ensure};
use observer_e2e::agent::{Agent, sum_of, until};
use observer_e2e::app::{App, Service, root};
use observer_e2e::cluster::{Cluster, Group};
use observer_e2e::deploy::{CHART, RELEASE, file, fine, run};
use observer_e2e::driver::Clients;
use observer_e2e::hosts::Hosts;
use observer_e2e::plan::{Mix, Mode};
use observer_e2e::run::{can_watch, turn};
use observer_e2e::server::{Delay, Downstream};
use observer_e2e::skip::skip;
use serde_json::{Value, json};

/// The name of the node that the test plays.
const NODE: &str = "node-1";

/// A cluster of its own for a test of the chart, the manifests or the agent.
fn cluster(what: &str) -> Result<Option<Cluster>> {
    if let Some(why) = Cluster::missing() {
        skip(&format!("{what} on an API server of Kubernetes"), &why);
        return Ok(None);
    }
    Cluster::start(what).map(Some)
}

#[test]
fn the_api_server_takes_the_chart() -> Result<()> {
    let Some(cluster) = cluster("chart")? else {
        return Ok(());
    };
    cluster.define_operator()?;
    for values in ["values.yaml", "ci/most-values.yaml", "ci/least-values.yaml"] {
        let values = format!("{CHART}/{values}");
        for what in [
            &["install", RELEASE, CHART, "--create-namespace"][..],
            &["upgrade", RELEASE, CHART],
        ] {
            let mut helm = cluster.tool("helm");
            helm.args(what)
                .args(["--namespace", RELEASE, "--values", &values]);
            fine(&mut helm)?;
        }
        cluster.get(&["daemonset", RELEASE, "-n", RELEASE])?;
        let mut helm = cluster.tool("helm");
        fine(helm.args(["uninstall", RELEASE, "--namespace", RELEASE]))?;
    }
    Ok(())
}

/// The pod that the DaemonSet's controller would make, in a namespace.
fn pod_of_the_daemon_set(cluster: &Cluster, namespace: &str) -> Result<Value> {
    let set = cluster.get(&["daemonset", RELEASE, "-n", RELEASE])?;
    let mut spec = set["spec"]["template"]["spec"].clone();
    if namespace != RELEASE {
        // Its account is there alone.
        spec["serviceAccountName"] = "default".into();
        spec["serviceAccount"] = "default".into();
    }
    Ok(json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "agent", "namespace": namespace}, "spec": spec,
    }))
}

/// A namespace, with the account that controllers give to each.
fn make_namespace(cluster: &Cluster, name: &str, labels: &Value) -> Result<()> {
    let meta = json!({"name": name, "labels": labels});
    cluster.create(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": meta}))?;
    let meta = json!({"name": "default", "namespace": name});
    cluster
        .create(&json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta}))
        .map(drop)
}

#[test]
fn the_api_server_takes_the_manifests_and_refuses_wrong_ones() -> Result<()> {
    let Some(cluster) = cluster("manifests")? else {
        return Ok(());
    };
    let apply = ["apply", "--validate=strict", "-f", "deploy/kubernetes.yaml"];
    let applied = run(&mut cluster.kubectl(&apply))?;
    let said = String::from_utf8(applied.stderr)?;
    ensure!(applied.status.success() && said.is_empty(), "{said}");
    let again = fine(&mut cluster.kubectl(&apply))?;
    ensure!(
        again.lines().all(|line| line.ends_with(" unchanged")),
        "{again}"
    );
    fine(
        &mut cluster.kubectl(
            &[
                &apply[..],
                &["--server-side", "--dry-run=server", "--force-conflicts"],
            ]
            .concat(),
        ),
    )?;

    // The namespace lets the agent's pods in; a usual one does not.
    cluster.create(&pod_of_the_daemon_set(&cluster, RELEASE)?)?;
    make_namespace(
        &cluster,
        "usual",
        &json!({"pod-security.kubernetes.io/enforce": "baseline"}),
    )?;
    let refused = cluster.create(&pod_of_the_daemon_set(&cluster, "usual")?);
    let Err(refused) = refused else {
        bail!("a usual namespace took the agent's pod");
    };
    ensure!(
        format!("{refused:#}").contains("host namespaces (hostPID=true)"),
        "{refused:#}"
    );

    let right = file("kubernetes.yaml")?;
    for (part, wrong, told) in [
        (
            "hostPID: true",
            "hostPid: true",
            "unknown field \"spec.template.spec.hostPid\"",
        ),
        (
            "fieldPath: spec.nodeName",
            "fieldPath: spec.node",
            "spec.node",
        ),
        ("containerPort: 9466", "containerPort: 94660", "94660"),
        ("maxUnavailable: 10%", "maxUnavailable: 0", "maxUnavailable"),
        ("drop: [ALL]", "drop: ALL", "drop"),
    ] {
        ensure!(right.contains(part), "no `{part}`");
        let name = format!("target/wrong-{}.yaml", std::process::id());
        std::fs::write(root().join(&name), right.replacen(part, wrong, 1))?;
        let output = run(&mut cluster.kubectl(&[
            "apply",
            "--validate=strict",
            "--dry-run=server",
            "-f",
            &name,
        ]))?;
        std::fs::remove_file(root().join(&name))?;
        let error = String::from_utf8(output.stderr)?;
        ensure!(
            !output.status.success() && error.contains(told),
            "`{wrong}`: {error}"
        );
    }
    Ok(())
}

/// A service in a pod: a process in the control group of a container that the API server tells of.
struct Running {
    // Ends before its control group is taken away.
    service: Service,
    _group: Group,
}

impl Running {
    fn start(cluster: &Cluster, downstream: &Downstream, pod: &Value, digit: &str) -> Result<Self> {
        let made = cluster.create(pod)?;
        let container = digit.repeat(64);
        let status = json!({"status": {"phase": "Running", "containerStatuses": [{
            "name": "app", "containerID": format!("containerd://{container}"),
            "image": "app", "imageID": "app", "ready": true, "restartCount": 0,
        }]}});
        let name = made["metadata"]["name"].as_str().context("a name")?;
        let patch = status.to_string();
        fine(&mut cluster.kubectl(&[
            "patch",
            "pod",
            name,
            "-n",
            "shop",
            "--subresource=status",
            "--type=merge",
            "-p",
            &patch,
        ]))?;
        let group = Group::make(
            made["metadata"]["uid"].as_str().context("a uid")?,
            &container,
        )?;
        let service = App::THREADS.start(downstream.address(), 4)?;
        group.take(service.process.pid())?;
        Ok(Self {
            service,
            _group: group,
        })
    }

    fn drive(&self) -> Result<()> {
        let plan = Mix::only(Mode::Propagate).plan("k", 20, 7);
        Clients::new(1).drive(self.service.address, &plan).map(drop)
    }
}

fn owned(kind: &str, api: &str, owner: &Value) -> Value {
    json!([{
        "apiVersion": api, "kind": kind, "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"],
        "controller": true,
    }])
}

fn template(labels: &Value) -> Value {
    json!({"metadata": {"labels": labels}, "spec": {"containers": [{"name": "app", "image": "app"}]}})
}

/// The specification of a pod on a node.
fn on(node: &str) -> Value {
    json!({"nodeName": node, "containers": [{"name": "app", "image": "app"}]})
}

/// A Deployment, its ReplicaSet, and the pod of it that is still to be made, as the controllers make them.
fn deployment(cluster: &Cluster, name: &str) -> Result<Value> {
    let labels = json!({"app": name, "pod-template-hash": "6d5f8c7b9"});
    let spec = json!({"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": template(&labels)});
    let meta = json!({"name": name, "namespace": "shop"});
    let top = cluster.create(
        &json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec}),
    )?;
    let set = format!("{name}-6d5f8c7b9");
    let meta = json!({"name": set, "namespace": "shop", "ownerReferences": owned("Deployment", "apps/v1", &top)});
    let set = cluster.create(
        &json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": meta, "spec": spec}),
    )?;
    Ok(json!({
        "apiVersion": "v1", "kind": "Pod", "spec": on(NODE),
        "metadata": {"name": format!("{name}-6d5f8c7b9-x2x1z"), "namespace": "shop", "labels": labels,
                     "ownerReferences": owned("ReplicaSet", "apps/v1", &set)},
    }))
}

/// A CronJob, its Job, and the pod of it that is still to be made.
fn cron_job(cluster: &Cluster, name: &str) -> Result<Value> {
    let mut template = template(&json!({"app": name}));
    template["spec"]["restartPolicy"] = "Never".into();
    let job = json!({"template": template});
    let meta = json!({"name": name, "namespace": "shop"});
    let spec = json!({"schedule": "0 3 * * *", "jobTemplate": {"spec": job}});
    let top = cluster.create(
        &json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": meta, "spec": spec}),
    )?;
    let run = format!("{name}-29384710");
    let meta = json!({"name": run, "namespace": "shop", "ownerReferences": owned("CronJob", "batch/v1", &top)});
    let run = cluster
        .create(&json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": job}))?;
    Ok(json!({
        "apiVersion": "v1", "kind": "Pod", "spec": on(NODE),
        "metadata": {"name": format!("{name}-29384710-abcde"), "namespace": "shop",
                     "ownerReferences": owned("Job", "batch/v1", &run)},
    }))
}

/// A Service without an address of its own, behind which `downstream` is.
fn service(cluster: &Cluster, name: &str, downstream: &Downstream) -> Result<()> {
    let port = downstream.address().port();
    let meta = json!({"name": name, "namespace": "shop"});
    let spec = json!({"clusterIP": "None", "ports": [{"port": port}]});
    cluster
        .create(&json!({"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec}))?;
    let labels = json!({"kubernetes.io/service-name": name});
    cluster
        .create(&json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": format!("{name}-x1"), "namespace": "shop", "labels": labels},
            "ports": [{"port": port}],
            "endpoints": [{"addresses": [downstream.address().ip().to_string()]}],
        }))
        .map(drop)
}

/// Waits until the agent has counted calls of a service to the Service `payments`.
fn counted(agent: &Agent, service: &str) -> Result<()> {
    let mut page = String::new();
    let seen = until(service, || {
        page = agent.get("/metrics", "text/plain")?;
        let calls: String = page
            .lines()
            .filter(|line| line.contains("peer_name=\"payments\""))
            .flat_map(|line| [line, "\n"])
            .collect();
        let name = format!("service_name=\"{service}\"");
        Ok(sum_of(&calls, "observer_calls_total", &name) > 0.0)
    });
    seen.with_context(|| page)
}

/// What the chart's ClusterRole allows, and what the agent's account was seen to ask.
fn allowed_and_asked(cluster: &Cluster) -> Result<[BTreeSet<[String; 3]>; 2]> {
    let role = cluster.get(&["clusterrole", RELEASE])?;
    let words = |value: &Value| serde_json::from_value::<Vec<String>>(value.clone());
    let mut allowed = BTreeSet::new();
    for rule in role["rules"].as_array().context("rules")? {
        for group in words(&rule["apiGroups"])? {
            for resource in words(&rule["resources"])? {
                for verb in words(&rule["verbs"])? {
                    allowed.insert([group.clone(), resource.clone(), verb]);
                }
            }
        }
    }
    let asked = cluster.asked_by(RELEASE, RELEASE)?.into_iter();
    Ok([
        allowed,
        asked
            .map(|one| [one.group, one.resource, one.verb])
            .collect(),
    ])
}

#[test]
fn the_agent_needs_what_its_account_may_and_finds_back_after_an_outage() -> Result<()> {
    let _turn = turn();
    let Some(mut cluster) = cluster("agent")? else {
        return Ok(());
    };
    if !can_watch(App::THREADS, "agent on an API server of Kubernetes") {
        return Ok(());
    }
    fine(&mut cluster.kubectl(&["apply", "-f", "deploy/kubernetes.yaml"]))?;
    make_namespace(&cluster, "shop", &json!({}))?;
    // Addresses of loopback are no one's in a cluster.
    let network = Hosts::make(0)?;
    let downstream = Downstream::start_at(network.address(), Delay::NONE)?;
    service(&cluster, "payments", &downstream)?;
    let cart = Running::start(&cluster, &downstream, &deployment(&cluster, "cart")?, "a")?;
    let nightly = Running::start(&cluster, &downstream, &cron_job(&cluster, "nightly")?, "b")?;
    let mut elsewhere = deployment(&cluster, "elsewhere")?;
    elsewhere["spec"] = on("node-2");
    cluster.create(&elsewhere)?;

    let agent = Agent::start_in(&cluster, RELEASE, NODE, "include: [{namespace: shop}]\n")?;
    for (name, one) in [("cart", &cart), ("nightly", &nightly)] {
        until(name, || {
            one.drive()?;
            Ok(agent.metric("observer_requests_total")? > 0.0)
        })?;
        one.drive()?;
        counted(&agent, name)?;
    }
    let [allowed, asked] = allowed_and_asked(&cluster)?;
    ensure!(allowed == asked, "allowed {allowed:#?}, asked {asked:#?}");
    for one in cluster.asked_by(RELEASE, RELEASE)? {
        ensure!(one.status == 200, "{one:?}");
        let own = one
            .uri
            .contains(&format!("fieldSelector=spec.nodeName%3D{NODE}"));
        ensure!(own == (one.resource == "pods"), "{one:?}");
    }
    for no in [
        "get secrets",
        "create pods",
        "get pods/log",
        "list nodes",
        "patch services",
        "list jobs.batch",
    ] {
        let account = format!("--as=system:serviceaccount:{RELEASE}:{RELEASE}");
        let mut can = cluster.kubectl(&["auth", "can-i", "--all-namespaces", &account]);
        let said = String::from_utf8(run(can.args(no.split(' ')))?.stdout)?;
        ensure!(said.trim() == "no", "{no}: {said}");
    }

    // Without the API server names stay; what began meanwhile is named once it is back.
    cluster.stop_api()?;
    agent.said("the Kubernetes API does not tell pods")?;
    cart.drive()?;
    cluster.start_api()?;
    agent.said("the Kubernetes API tells pods again")?;
    let late = Running::start(&cluster, &downstream, &deployment(&cluster, "late")?, "c")?;
    until("the late one", || {
        late.drive()?;
        Ok(agent
            .get("/metrics", "text/plain")?
            .contains("service_name=\"late\""))
    })?;
    counted(&agent, "late")?;

    // Without rights it says so, and goes on.
    fine(&mut cluster.kubectl(&["delete", "clusterrolebinding", RELEASE]))?;
    cluster.stop_api()?;
    cluster.start_api()?;
    until("a refusal", || {
        Ok(cluster
            .asked_by(RELEASE, RELEASE)?
            .iter()
            .any(|one| one.status == 403))
    })?;
    cart.drive()?;
    ensure!(agent.get("/healthz", "*/*")?.starts_with("ok"));
    agent.end()
}
