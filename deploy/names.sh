# What the steps share: names, and what Google decided about the triggers. Sourced; needs PROJECT_ID,
# ENVIRONMENT and REGION.
set -euo pipefail
shopt -s inherit_errexit
for name in PROJECT_ID ENVIRONMENT REGION; do
  [[ -n ${!name:-} ]] || { echo "$name is not set: export PROJECT_ID, ENVIRONMENT and REGION first." >&2; exit 2; }
done

# energent-billing-<environment> is the name of a service account, which has at most 30 characters.
if [[ ! $ENVIRONMENT =~ ^[a-z]([a-z0-9-]{0,11}[a-z0-9])?$ ]]; then
  echo "ENVIRONMENT must have 1 to 13 characters: lower case, digits and inner hyphens, like production." >&2
  exit 2
fi

DATABASE=energent-metadata-$ENVIRONMENT
PUBLIC_BUCKET=$PROJECT_ID-energent-$ENVIRONMENT-public
STORAGE_BUCKET=${STORAGE_BUCKET:-energent-$ENVIRONMENT-storage-$(printf %s "$PROJECT_ID" | sha256sum | cut -c1-8)}
API=energent-api-$ENVIRONMENT
GATEWAY=energent-gateway-$ENVIRONMENT

HTTP_SERVICES=(auth tenants billing-api)
EVENT_SERVICES=(auth-events tenants-events billing)
declare -A TOPIC_OF=([auth-events]=auth-events [tenants-events]=tenant-events [billing]=billing-events)
TOPICS=(auth-events tenant-events billing-events)

# The full name of a service, which is the name of its function and of its Cloud Run service.
service_name() { echo "energent-$1-$ENVIRONMENT"; }

# The e-mail address of one of our service accounts: auth, billing, tenants, events, gateway, build, deploy.
account() { echo "energent-$1-$ENVIRONMENT@$PROJECT_ID.iam.gserviceaccount.com"; }

# Google's own service account for a product: pubsub, cloudscheduler ...
agent() { echo "service-$PROJECT_NUMBER@gcp-sa-$1.iam.gserviceaccount.com"; }

# The subscription that Eventarc made for the trigger of an event service; fails where there is none.
subscription_of() {
  local trigger
  trigger=$(gcloud functions describe "$(service_name "$1")" --region="$REGION" --format='value(eventTrigger.trigger)') &&
    gcloud eventarc triggers describe "$trigger" --format='value(transport.pubsub.subscription)'
}

# For whom the identity token of a subscription is made out: Eventarc takes the address of the service.
audience_of() {
  gcloud pubsub subscriptions describe "$1" --format='value(pushConfig.oidcToken.audience)'
}

# The address of a service as Cloud Run gave it.
address_of() {
  gcloud functions describe "$(service_name "$1")" --region="$REGION" --format='value(serviceConfig.uri)'
}
