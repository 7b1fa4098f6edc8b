#!/usr/bin/env bash
# The API's contract, as a config that never changes once it is made, and the gateway that serves it.
. deploy/names.sh
spec=build/api.yaml
# One name for one content: a config cannot be changed, and two of the same need not be.
commit=${COMMIT:-local}
config=energent-config-$ENVIRONMENT-${commit:0:7}-$(sha256sum "$spec" | cut -c1-8)

state_of() {
  gcloud api-gateway api-configs describe "$1" --api="$API" --format='value(state)' 2>/dev/null || true
}

# Two configs that are made at the same time can break each other.
wait_for_others() {
  local creating left=60
  while true; do
    creating=$(gcloud api-gateway api-configs list --api="$API" --filter=state=CREATING --format='value(name.basename())')
    [[ -n $creating ]] || return 0
    ((left-- > 0)) || { echo "The config $creating has been in creation for ten minutes: deploy again later." >&2; exit 1; }
    sleep 10
  done
}

gcloud api-gateway apis describe "$API" >/dev/null 2>&1 || gcloud api-gateway apis create "$API"
wait_for_others
state=$(state_of "$config")
if [[ $state == FAILED ]]; then
  gcloud api-gateway api-configs delete "$config" --api="$API"
  state=
fi
if [[ -z $state ]]; then
  gcloud api-gateway api-configs create "$config" --api="$API" --openapi-spec="$spec" \
    --backend-auth-service-account="$(account gateway)" --labels="environment=$ENVIRONMENT"
fi

if gcloud api-gateway gateways describe "$GATEWAY" --location="$REGION" >/dev/null 2>&1; then
  gcloud api-gateway gateways update "$GATEWAY" --location="$REGION" --api="$API" --api-config="$config"
else
  gcloud api-gateway gateways create "$GATEWAY" --location="$REGION" --api="$API" --api-config="$config" \
    --labels="environment=$ENVIRONMENT"
fi

# An API holds 100 configs. The newest ten stay, to go back to, and the one in use.
configs=$(gcloud api-gateway api-configs list --api="$API" --sort-by=~createTime --format='value(name.basename())')
for old in $(tail -n +11 <<<"$configs"); do
  [[ $old == "$config" ]] || gcloud api-gateway api-configs delete "$old" --api="$API"
done
