#!/usr/bin/env bash
# Deploys one service: deploy/steps/function.sh SERVICE FUNCTION http|events FLAG...
. deploy/names.sh
service=$1 function=$2 door=$3
shift 3
name=$(service_name "$service")

# gRPC writes what is less than an error between the lines of the log, and not as JSON.
settings=(
  GRPC_VERBOSITY=ERROR BACKEND=gcp "DOORS=$door" "ENVIRONMENT=$ENVIRONMENT" "PUBLIC_URL=$PUBLIC_URL"
  "FIRESTORE_PROJECT=$PROJECT_ID" "SECRET_MANAGER_PROJECT=$PROJECT_ID"
)
case $function in
  auth)
    entry=auth_handler label=authentication
    settings+=("PUBLIC_BUCKET=$PUBLIC_BUCKET")
    for smtp in HOST PORT TLS USER PASSWORD_SECRET FROM; do
      smtp=SMTP_$smtp
      if [[ -n ${!smtp:-} ]]; then settings+=("$smtp=${!smtp}"); fi
    done
    ;;
  billing)
    entry=billing_handler label=billing
    settings+=("STORAGE_BUCKET=$STORAGE_BUCKET")
    if [[ -n ${STRIPE_API_KEY_SECRET:-}${STRIPE_WEBHOOK_SECRETS:-} ]]; then
      settings+=("STRIPE_API_KEY_SECRET=$STRIPE_API_KEY_SECRET" "STRIPE_WEBHOOK_SECRETS=$STRIPE_WEBHOOK_SECRETS")
    fi
    ;;
  tenants) entry=tenant_handler label=tenants ;;
esac

for name_of in TRUSTED_HOPS PASSWORD_RANGE_URL; do
  if [[ -n ${!name_of:-} ]]; then settings+=("$name_of=${!name_of}"); fi
done

if [[ $door == events ]]; then
  # Before the first deployment nobody knows the audience; until it is set, messages are refused and come again.
  { subscription=$(subscription_of "$service") && audience=$(audience_of "$subscription"); } 2>/dev/null || audience=
  settings+=(
    EVENTS_KEYS=platform EVENTS_ISSUER=https://accounts.google.com
    "EVENTS_AUDIENCE=${audience:-https://not-known-yet.invalid}" "EVENTS_CALLER=$(account events)"
  )
  opened=(
    --trigger-topic="${TOPIC_OF[$service]}" --trigger-location="$REGION" --retry
    --trigger-service-account="$(account events)" --ingress-settings=internal-only
  )
else
  # API Gateway is no internal caller: what keeps others out is that they may not invoke.
  opened=(--trigger-http --no-allow-unauthenticated --ingress-settings=all)
fi

joined=$(IFS='|' && echo "${settings[*]}")
gcloud functions deploy "$name" --gen2 --region="$REGION" --runtime="$RUNTIME" \
  --source="build/$function" --entry-point="$entry" "${opened[@]}" "$@" \
  --run-service-account="$(account "$function")" \
  --build-service-account="projects/$PROJECT_ID/serviceAccounts/$(account build)" \
  --set-env-vars="^|^$joined" --update-labels="environment=$ENVIRONMENT,service=$label" \
  --serve-all-traffic-latest-revision

if [[ $door == events ]]; then
  subscription=$(subscription_of "$service")
  actual=$(audience_of "$subscription")
  if [[ -z $actual ]]; then
    echo "$name: the trigger's subscription pushes without an identity token; see docs/runbooks/events.md" >&2
    exit 1
  fi
  if [[ $actual != "$audience" ]]; then
    gcloud run services update "$name" --region="$REGION" --update-env-vars="EVENTS_AUDIENCE=$actual"
  fi
fi
