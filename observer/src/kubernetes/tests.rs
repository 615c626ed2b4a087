//! Against a server that speaks the API's protocol: lists, watches, refusals.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use observer_core::facts::{ProcessFacts, Runtime};
use observer_core::ids::Tgid;
use serde_json::{Value, json};

use super::names::name_by;
use super::*;
use crate::facts::container::Container;

const UID: &str = "1c9f3d52-7c1b-4a43-9b0f-6d1f0a9c2e77";

fn pod() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": "cart-6d5f8-x2x1z", "namespace": "shop", "uid": UID, "resourceVersion": "5",
            "labels": {"pod-template-hash": "6d5f8", "app.kubernetes.io/version": "1.4"},
            "annotations": {"resource.opentelemetry.io/deployment.environment.name": "prod", "other": "x"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "cart-6d5f8", "uid": "r", "controller": true}]
        },
        "spec": {"nodeName": "node-1", "containers": [{"name": "app"}, {"name": "envoy"}]},
        "status": {"containerStatuses": [
            {"name": "app", "containerID": format!("containerd://{}", "a".repeat(64)), "image": "i", "imageID": "", "ready": true, "restartCount": 0}
        ]}
    })
}

fn kept(change: impl Fn(&mut Value)) -> Pod {
    let mut value = pod();
    change(&mut value);
    Pod::from_api(&serde_json::from_value(value).unwrap()).unwrap()
}

fn named(pod: &Pod, container: Option<&str>, runtime: Runtime, declared: bool) -> ProcessFacts {
    let mut facts = ProcessFacts {
        runtime: Some(runtime),
        ..ProcessFacts::named(Tgid(1), "own")
    };
    name_by(pod, container, true, declared, &mut facts);
    facts
}

#[test]
fn services_are_named_in_the_order_of_the_conventions() {
    let name = |pod: &Pod| named(pod, None, Runtime::Go, false).service;
    let mut one = kept(|_| ());
    assert_eq!(one.owner.as_ref().unwrap().kind, "Deployment");
    assert!(one.is_owned_by("deployment/ca*") && one.is_owned_by("cart"));
    assert!(!one.is_owned_by("statefulset/cart") && !one.is_owned_by("car"));
    assert_eq!(name(&one), "cart");
    let mut set = |name: &str, value: &str| one.labels.insert(name.into(), value.into());
    set("app.kubernetes.io/name", "by-name");
    assert_eq!(name(&one), "by-name");
    one.labels
        .insert("app.kubernetes.io/instance".into(), "by-instance".into());
    assert_eq!(name(&one), "by-instance");
    one.resource
        .insert("service.name".into(), "by-annotation".into());
    assert_eq!(name(&one), "by-annotation");
    assert_eq!(named(&one, None, Runtime::Go, true).service, "own");
    let alone = kept(|pod| pod["metadata"]["ownerReferences"] = json!([]));
    assert_eq!(name(&alone), "cart-6d5f8-x2x1z");
    let bare = kept(|pod| pod["metadata"]["labels"] = json!({}));
    assert_eq!(name(&bare), "cart-6d5f8");
}

#[test]
fn what_is_known_of_the_pod_is_the_resource_and_a_sidecar_is_a_hop_of_its_own() {
    let facts = named(&kept(|_| ()), Some("app"), Runtime::Go, false);
    for (name, value) in [
        ("service.namespace", "shop"),
        ("service.version", "1.4"),
        ("service.instance.id", "shop.cart-6d5f8-x2x1z.app"),
        ("k8s.deployment.name", "cart"),
        ("k8s.node.name", "node-1"),
        ("k8s.container.name", "app"),
        ("deployment.environment.name", "prod"),
    ] {
        assert_eq!(
            facts.resource.get(name).map(String::as_str),
            Some(value),
            "{name}"
        );
    }
    assert!(!facts.resource.contains_key("other"));
    let proxy = named(&kept(|_| ()), Some("envoy"), Runtime::Proxy, false);
    assert_eq!(proxy.service, "cart/envoy");
}

#[test]
fn a_pod_is_found_by_its_uid_its_hash_and_its_containers() {
    let directory = Directory::default();
    directory.put_pod(kept(|pod| {
        pod["metadata"]["annotations"]["kubernetes.io/config.hash"] =
            json!("7d5a6a1b9e3c4f20b1d8c7e6f5a4b3c2");
    }));
    let by = |id: &str, uid: Option<&str>| {
        directory.pod(&Container {
            id: id.repeat(64),
            runtime: None,
            pod_uid: uid.map(str::to_owned),
        })
    };
    assert!(by("b", Some(UID)).is_some());
    assert!(by("b", Some("7d5a6a1b9e3c4f20b1d8c7e6f5a4b3c2")).is_some());
    assert!(by("a", None).is_some());
    assert!(by("b", None).is_none());
    directory.remove_pod(UID);
    assert!(by("a", Some(UID)).is_none());
}

/// A server that answers lists from a table, and keeps watches open.
struct Api {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

fn api(answer: impl Fn(&str) -> (u16, Value) + Send + Sync + 'static) -> Api {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (seen, answer) = (Arc::clone(&asked), Arc::new(answer));
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
            thread::spawn(move || serve(stream, &seen, &*answer));
        }
    });
    Api { port, asked }
}

fn serve(stream: TcpStream, seen: &Mutex<Vec<String>>, answer: &dyn Fn(&str) -> (u16, Value)) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut out = stream;
    loop {
        let mut first = String::new();
        if reader.read_line(&mut first).unwrap_or(0) == 0 {
            return;
        }
        let mut line = first.clone();
        while line.trim() != "" {
            line.clear();
            reader.read_line(&mut line).unwrap();
        }
        let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
        seen.lock().unwrap().push(path.clone());
        if path.contains("watch=true") {
            // Nothing happens for as long as the connection lasts.
            let _ = out.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n");
            let _ = reader.read_line(&mut line);
            return;
        }
        let (status, body) = answer(&path);
        let body = body.to_string();
        let head = format!(
            "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        if out
            .write_all(head.as_bytes())
            .and_then(|()| out.write_all(body.as_bytes()))
            .is_err()
        {
            return;
        }
    }
}

fn list(kind: &str, version: &str, items: Value) -> Value {
    json!({"kind": format!("{kind}List"), "apiVersion": version, "metadata": {"resourceVersion": "9"}, "items": items})
}

fn started(api: &Api) -> Arc<Directory> {
    let url = format!("http://127.0.0.1:{}", api.port).parse().unwrap();
    start(Settings {
        node: "node-1".into(),
        config: Some(kube::Config::new(url)),
    })
    .unwrap()
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        thread::yield_now();
    }
}

#[test]
fn pods_of_the_own_node_and_peers_by_address_are_told() {
    let api = api(|path| {
        (
            200,
            match path.split('?').next().unwrap() {
                "/api/v1/pods" => list("Pod", "v1", json!([pod()])),
                "/api/v1/services" => list(
                    "Service",
                    "v1",
                    json!([{
                        "metadata": {"name": "payments", "namespace": "shop"},
                        "spec": {"clusterIP": "10.0.0.9", "clusterIPs": ["10.0.0.9"], "ports": [{"port": 80}]}
                    }]),
                ),
                _ => list(
                    "EndpointSlice",
                    "discovery.k8s.io/v1",
                    json!([{
                        "metadata": {"name": "p-1", "namespace": "shop", "labels": {"kubernetes.io/service-name": "payments"}},
                        "addressType": "IPv4", "endpoints": [{"addresses": ["10.1.2.3"]}], "ports": [{"port": 8080}]
                    }]),
                ),
            },
        )
    });
    let directory = started(&api);
    until("the pod", || directory.version() > 0);
    until("the addresses", || directory.sizes() == (1, 2));
    let payments = Some(Peer {
        name: "payments".into(),
        namespace: "shop".into(),
    });
    let expected = vec![
        (("10.0.0.9".parse().unwrap(), Some(80)), payments.clone()),
        (("10.1.2.3".parse().unwrap(), Some(8080)), payments),
    ];
    assert_eq!(directory.take_changes(), expected);
    assert_eq!(directory.take_changes(), []);
    let asked = api.asked.lock().unwrap();
    let pods: Vec<_> = asked
        .iter()
        .filter(|path| path.starts_with("/api/v1/pods"))
        .collect();
    assert!(
        pods.iter()
            .all(|path| path.contains("fieldSelector=spec.nodeName%3Dnode-1")),
        "{pods:?}"
    );
    directory.remove_addresses("service/shop/payments");
    assert_eq!(
        directory.take_changes(),
        [(("10.0.0.9".parse().unwrap(), Some(80)), None)]
    );
}

#[test]
fn an_api_that_forbids_something_still_tells_the_rest() {
    let api = api(|path| {
        if path.starts_with("/api/v1/pods") {
            return (200, list("Pod", "v1", json!([pod()])));
        }
        (
            403,
            json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Forbidden", "message": "no", "code": 403}),
        )
    });
    let directory = started(&api);
    until("the pod", || directory.sizes() == (1, 0));
    until("it is asked again", || {
        let asked = api.asked.lock().unwrap();
        asked
            .iter()
            .filter(|path| path.starts_with("/api/v1/services"))
            .count()
            > 1
    });
}

#[test]
fn an_api_that_is_away_delays_nothing() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap();
    let api = Api {
        port: gone.local_addr().unwrap().port(),
        asked: Arc::default(),
    };
    drop(gone);
    let began = Instant::now();
    assert_eq!(started(&api).sizes(), (0, 0));
    assert!(began.elapsed() < Duration::from_secs(5));
}
