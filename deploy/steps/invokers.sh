#!/usr/bin/env bash
# Who may call a service: the gateway the HTTP services, the triggers the event services, nobody else. The
# whole policy is replaced, so a right that somebody gave by hand is gone after the next deployment.
. deploy/names.sh

only() { # SERVICE ACCOUNT
  printf '{"bindings": [{"role": "roles/run.invoker", "members": ["serviceAccount:%s"]}]}\n' "$2" >"build/$1.policy.json"
  gcloud run services set-iam-policy "$(service_name "$1")" "build/$1.policy.json" --region="$REGION" >/dev/null
}

mkdir -p build
for service in "${HTTP_SERVICES[@]}"; do only "$service" "$(account gateway)"; done
for service in "${EVENT_SERVICES[@]}"; do only "$service" "$(account events)"; done
