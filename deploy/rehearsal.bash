# Stand-ins for everything the steps call, so that they can be rehearsed without a network and without rights.
# Bash reads this first (BASH_ENV). REHEARSAL is a folder: `calls` gets a record of each call, with the place
# it came from; `made/KIND/NAME` is there for each thing that was made, and a second one is refused as Google
# would. Commands are written with their positional arguments first.

_record() {
  local IFS=$'\x1f'
  printf '%s\x1e' "${BASH_SOURCE[2]:-inline}:${BASH_LINENO[1]}$IFS$*" >>"$REHEARSAL/calls"
}

_fail() {
  echo "ERROR: (gcloud) $*" >&2
  return 1
}

_thing() { echo "$REHEARSAL/made/${1// /-}/$2"; }

_make() {
  [[ ! -e $(_thing "$1" "$2") ]] || { _fail "ALREADY_EXISTS: $1 $2 already exists"; return; }
  mkdir -p "$(dirname "$(_thing "$1" "$2")")" && : >"$(_thing "$1" "$2")"
}

_need() { [[ -e $(_thing "$1" "$2") ]] || _fail "NOT_FOUND: there is no $1 $2"; }

gcloud() {
  _record gcloud "$@"
  local word words=() topic= dead_letters=
  for word in "$@"; do
    case $word in
      --trigger-topic=*) topic=${word#*=} ;;
      --topic=*) topic=${word#*=} ;;
      --dead-letter-topic=*) dead_letters=${word#*=} ;;
    esac
    if [[ $word == --* && $word =~ (energent-[a-z-]+)@$PROJECT_ID.iam ]]; then
      _need 'iam service-accounts' "${BASH_REMATCH[1]}" || return
    fi
  done
  for word in "$@"; do
    [[ $word != -* ]] || break
    words+=("$word")
  done
  local kind= verb= name=
  for word in "${words[@]}"; do
    if [[ -n $verb ]]; then
      [[ -n $name && $name != pubsub ]] || name=$word
    elif [[ $word =~ ^(create|describe|update|delete|deploy|list|enable|add-iam-policy-binding|set-iam-policy|service-agent)$ ]]; then
      verb=$word
    else
      kind+=${kind:+ }$word
    fi
  done
  name=${name##*/} name=${name%@*} name=${name//:/-}
  [[ -z $topic ]] || _need 'pubsub topics' "$topic" || return
  [[ -z $dead_letters ]] || _need 'pubsub topics' "$dead_letters" || return
  case "$kind $verb" in
    'functions deploy')
      mkdir -p "$REHEARSAL"/made/{functions,run-services,eventarc-triggers,pubsub-subscriptions}
      : >"$(_thing functions "$name")" >"$(_thing 'run services' "$name")"
      [[ -z $topic ]] || : >"$(_thing 'eventarc triggers' "$name")" >"$(_thing 'pubsub subscriptions' "eventarc-$name")"
      ;;
    'firestore databases create') _make "$kind" "$(_flag database "$@")" ;;
    'firestore databases '*) _need "$kind" "$(_flag database "$@")" ;;
    'firestore '*' list') [[ "$*" == *state* ]] || cat "$(_thing firestore "$kind")" 2>/dev/null || true ;;
    'firestore indexes composite create') _index "$@" ;;
    'firestore indexes fields update') _field "$name" "$@" ;;
    'firestore fields ttls update') _add "$kind" "$(_flag collection-group "$@")/fields/$name" ;;
    'services enable' | 'beta services identity create' | 'projects add-iam-policy-binding' | 'storage service-agent') ;;
    'projects describe') echo 123456789012 ;;
    'compute networks vpc-access connectors describe') ;;
    'api-gateway api-configs list') [[ "$*" == *CREATING* ]] || _listed "$kind" ;;
    *' create') _make "$kind" "$name" ;;
    *' delete') _need "$kind" "$name" && rm "$(_thing "$kind" "$name")" ;;
    *' describe') _need "$kind" "$name" && _describe "$kind" "$name" "${*: -1}" ;;
    'secrets update') _need "$kind" "$name" && _rotation "$name" "$(_flag next-rotation-time "$@")" ;;
    *' update' | *-iam-policy*) _need "$kind" "$name" ;;
    *) _fail "the rehearsal does not know: gcloud $*" ;;
  esac
}

_flag() { # NAME WORD...
  local name=$1 word
  shift
  for word in "$@"; do [[ $word != --$name=* ]] || echo "${word#*=}"; done
}

# What Firestore has is listed as the step asks for it.
_add() { # KIND LINE
  mkdir -p "$REHEARSAL/made/firestore"
  echo "$2" >>"$(_thing firestore "$1")"
}

_index() {
  local config paths=() orders=()
  for config in $(_flag field-config "$@"); do
    config=${config#field-path=}
    paths+=("${config%,order=*}") orders+=("${config#*,order=}")
  done
  paths+=(__name__) orders+=("${orders[-1]}")
  local IFS=';' scope
  scope=$(_flag query-scope "$@")
  orders=${orders[*]}
  config="$(_flag collection-group "$@")|${scope^^}|${paths[*]}|${orders^^}"
  ! grep -qxF "$config" "$(_thing firestore 'firestore indexes composite')" 2>/dev/null ||
    { _fail 'ALREADY_EXISTS: index already exists'; return; }
  _add 'firestore indexes composite' "$config"
}

_field() {
  local index scopes=() orders=() name=$1
  for index in $(_flag index "$@"); do
    orders+=("${index#order=}") scopes+=(collection)
  done
  local IFS=';'
  orders=${orders[*]} scopes=${scopes[*]}
  _add 'firestore indexes fields' "$(_flag collection-group "$@")/fields/$name|${scopes^^}|${orders^^}"
}

_rotation() { [[ -z $2 ]] || echo "$2" >"$(_thing secrets "$1")"; }

_listed() { ls -1t "$(dirname "$(_thing "$1" x)")"; }

_describe() { # KIND NAME FORMAT
  case $3 in
    *eventTrigger.trigger*) echo "projects/$PROJECT_ID/locations/$REGION/triggers/$2" ;;
    *transport.pubsub.subscription*) echo "projects/$PROJECT_ID/subscriptions/eventarc-$2" ;;
    *oidcToken.audience*) echo "https://${2#eventarc-}-a1b2c3d4e5-uc.a.run.app" ;;
    *serviceConfig.uri*) echo "https://$2-a1b2c3d4e5-uc.a.run.app" ;;
    *defaultHostname*) echo "$2-a1b2c3d4.uc.gateway.dev" ;;
    *rotation.nextRotationTime*) cat "$(_thing secrets "$2")" ;;
    *state*) echo ACTIVE ;;
  esac
}

curl() {
  _record curl "$@"
  case ${*: -1} in
    */v1/*) printf 401 ;;
    *.run.app/*) printf 403 ;;
    *) printf 200 ;;
  esac
}

python() {
  _record python "$@"
  case "$*" in
    '-m deploy.firestore_fields'* | '-m deploy.api_spec'*) "$REHEARSAL_PYTHON" "$@" >&2 ;;
  esac
}

sleep() { :; }
