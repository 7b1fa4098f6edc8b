#!/usr/bin/env bash
# Asks what was deployed: it answers through the gateway, and lets nobody in past it.
. deploy/names.sh

# Prints the status of a GET without an identity; 000 where there was no answer.
status_of() {
  curl --silent --output /dev/null --max-time 30 --write-out '%{http_code}' "$1" || true
}

expect() { # WHAT URL STATUS...
  local what=$1 url=$2 got wanted
  shift 2
  got=$(status_of "$url")
  for wanted in "$@"; do
    if [[ $got == "$wanted" ]]; then
      echo "$what: $got"
      return
    fi
  done
  echo "$what: $url answered $got, not ${*}" >&2
  exit 1
}

# A new gateway, or a new config, is not everywhere at once.
wait_for() { # URL
  local left=60
  until [[ $(status_of "$1") == 200 ]]; do
    ((left-- > 0)) || { echo "$1 did not answer 200 within ten minutes; see docs/runbooks/gateway.md" >&2; exit 1; }
    sleep 10
  done
  echo "$1: 200"
}

gateway=https://$(gcloud api-gateway gateways describe "$GATEWAY" --location="$REGION" --format='value(defaultHostname)')
wait_for "$gateway/health"
wait_for "https://storage.googleapis.com/$PUBLIC_BUCKET/jwks.json"
expect 'the gateway, without a token' "$gateway/v1/tenants" 401
for service in "${HTTP_SERVICES[@]}"; do
  address=$(address_of "$service")
  expect "$service, past the gateway" "$address/health" 401 403
done
for service in "${EVENT_SERVICES[@]}"; do
  address=$(address_of "$service")
  expect "$service, from outside" "$address/" 401 403 404
done
