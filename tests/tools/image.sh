# The image, built with a real Docker engine and tried as its users run it. Sourced by tests/run,
# after steps.sh. It listens on free ports of loopback, and leaves the image and nothing else.
# shellcheck shell=bash

readonly image=tidegate:tests
readonly image_state=/var/lib/tidegate
readonly careful=(--read-only --cap-drop ALL --security-opt no-new-privileges --network host)

has_engine() { docker version >/dev/null 2>&1; }

# expect WHAT ACTUAL EXPECTED
expect() {
    [[ $2 == "$3" ]] || die "the image: $1 is $2, expected $3"
    printf '%s: %s\n' "$1" "$2"
}

# of_image TEMPLATE: what the engine knows of the image.
of_image() { docker image inspect --format "$1" "$image"; }

# in_image COMMAND…: runs it as everybody should.
in_image() { docker run --rm "${careful[@]}" "$image" "$@"; }

image_says_what_it_is() {
    local modified=""
    [[ -z $(git status --porcelain) ]] || modified=-modified
    expect user "$(of_image '{{.Config.User}}')" 65532:65532
    expect command "$(of_image '{{json .Config.Entrypoint}} {{json .Config.Cmd}}')" 'null ["tidegate-redirector"]'
    expect revision "$(of_image '{{index .Config.Labels "org.opencontainers.image.revision"}}')" \
        "$(git rev-parse HEAD)$modified"
    local program version
    version=$(of_image '{{index .Config.Labels "org.opencontainers.image.version"}}')
    for program in tidegate-redirector tidegate-agent tidegatectl; do
        expect version "$(in_image "$program" --version)" "$program $version"
    done
}

# image_files CONTAINER: mode, owner and name of each file that is not the engine's own.
image_files() {
    docker export "$1" | tar --list --verbose --numeric-owner | awk '
        $6 !~ /^(\.dockerenv|(dev|proc|sys)\/.*|etc\/(hostname|hosts|mtab|resolv\.conf))$/ { print $1, $2, $6 }'
}

image_holds_nothing_else() {
    local container unpacked
    container=$(docker create "$image")
    unpacked=$(mktemp -d)
    # shellcheck disable=SC2064 # They are known now.
    trap "docker rm '$container' >/dev/null; rm -r '$unpacked'" EXIT
    diff <(image_files "$container") - <<'TEXT' || die "the image holds other files than it should (>)"
drwxr-xr-x 0/0 etc/
-rw-r--r-- 0/0 etc/group
-rw-r--r-- 0/0 etc/nsswitch.conf
-rw-r--r-- 0/0 etc/passwd
drwxr-xr-x 0/0 usr/
drwxr-xr-x 0/0 usr/bin/
-rwxr-xr-x 0/0 usr/bin/tidegate-agent
-rwxr-xr-x 0/0 usr/bin/tidegate-redirector
-rwxr-xr-x 0/0 usr/bin/tidegatectl
drwxr-xr-x 0/0 var/
drwxr-xr-x 0/0 var/lib/
drwx------ 65532/65532 var/lib/tidegate/
drwx------ 65532/65532 var/lib/tidegate-agent/
TEXT
    echo "files: three programs, three small files, two empty folders; no shell"
    docker cp --quiet "$container":/usr/bin "$unpacked"
    if grep -rlaF -e "${CARGO_HOME:-$HOME/.cargo}/" -e "${CARGO_TARGET_DIR:-$root/target}/" "$unpacked"; then
        die "these programs name folders of this machine"
    fi
    echo "folders of this machine: none"
}

# try_for SECONDS COMMAND…: until it succeeds.
try_for() {
    local until=$((SECONDS + $1))
    shift
    while ! "$@"; do
        ((SECONDS < until)) || return 1
        sleep 0.2
    done
}

# listens CONTAINER WHAT: its address, as the program says.
listens() { docker logs "$1" 2>/dev/null | sed -n "s/^$2  *[a-z]* \([0-9.:]*\).*/\1/p" | grep .; }

edge_is_up() { in_image tidegatectl --admin "$admin" edges | grep "^$1 .* UP "; }

# give VOLUME NAME: the standard input becomes a file that the user of the image alone can read.
give() {
    local folder
    folder=$(mktemp -d)
    cat >"$folder/$2"
    tar --create --directory "$folder" --owner 65532 --group 65532 --mode 600 "$2" |
        docker cp --quiet - "$1"
    rm -r "$folder"
}

# demo_begins CONTAINER: on the volume, with free ports.
demo_begins() {
    docker run --detach --name "$1" "${careful[@]}" --volume "$steered:$image_state" "$image" \
        tidegate-redirector --demo --client-listen 127.0.0.1:0 --heartbeat-listen 127.0.0.1:0 \
        --admin-listen 127.0.0.1:0 --ops-listen 127.0.0.1:0 >/dev/null
    try_for 20 listens "$1" operations >/dev/null || { docker logs "$1"; die "the image: no demo"; }
    admin=$(listens "$1" 'admin API')
}

clients_are_redirected() {
    try_for 20 edge_is_up edge-1 || die "the image: the demo's edges are not up"
    local answer
    answer=$(curl --silent --max-time 5 --output /dev/null --write-out '%{http_code} %{redirect_url}' \
        "http://$(listens "$steered-demo" clients)/live/demo/playlist.m3u8")
    [[ $answer == "302 http://127.0.0.1:"*/live/demo/playlist.m3u8 ]] || die "the image: a client got $answer"
    printf 'redirect: %s\n' "$answer"
}

# A static program looks names up by itself; this one is in /etc/hosts alone.
agent_finds_a_name() {
    local name=lb.tidegate.test agent=$steered-agent port folder=/var/lib/tidegate-agent
    port=$(listens "$steered-demo" heartbeats)
    docker create --name "$agent" "${careful[@]}" --add-host "$name:127.0.0.1" --volume "$folder" "$image" \
        tidegate-agent --name by-name --control-listen 127.0.0.1:0 --targets-file "$folder/targets" >/dev/null
    docker cp "$steered-demo:$image_state/.local/state/tidegate-demo/keys" - | tar --extract --to-stdout |
        sed "s/.*/$name,${port##*:},&/" | give "$agent:$folder" targets
    docker start "$agent" >/dev/null
    try_for 20 edge_is_up by-name || { docker logs "$agent"; die "the image: no agent finds $name"; }
}

volume_remembers_a_drain() {
    in_image tidegatectl --admin "$admin" drain by-name --reason "a new container"
    docker stop --time 20 "$steered-demo" >/dev/null
    expect "exit code of a stop" "$(docker inspect --format '{{.State.ExitCode}}' "$steered-demo")" 0
    demo_begins "$steered-again"
    in_image tidegatectl --admin "$admin" edges | grep '^by-name  *DRAIN' ||
        die "the image: a drain was forgotten with its container"
}

image_steers() {
    steered=tidegate-tests-$$
    trap 'docker rm --force --volumes "$steered"-{demo,agent,again} >/dev/null 2>&1 || true
        docker volume rm "$steered" >/dev/null' EXIT
    docker volume create "$steered" >/dev/null
    demo_begins "$steered-demo"
    clients_are_redirected
    agent_finds_a_name
    volume_remembers_a_drain
}

# Each in a shell of its own, which takes away what it made.
try_image() {
    (image_says_what_it_is)
    (image_holds_nothing_else)
    (image_steers)
}
