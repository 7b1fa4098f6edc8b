#!/usr/bin/env bash
# Makes, once for a project, what the pipeline needs: APIs, service accounts with their rights, the database,
# buckets and secrets. Safe to run again. One project holds one environment: the topics' names do not differ.
#
#   PROJECT_ID=my-project ENVIRONMENT=production REGION=us-central1 deploy/bootstrap.sh
if (($#)); then
  cat <<'TEXT'
usage: PROJECT_ID=my-project ENVIRONMENT=production REGION=us-central1 deploy/bootstrap.sh

Makes, once for a project, what the pipeline needs: APIs, service accounts with their rights, the database, topics,
secrets and buckets. Safe to run again. Needs gcloud with its component beta, signed in as an owner of the project.
VPC_CONNECTOR and STORAGE_BUCKET name others than the usual ones. `make plan ARGS=--bootstrap` shows every command.
TEXT
  [[ $1 == -h || $1 == --help ]] && exit 0
  echo "deploy/bootstrap.sh takes no arguments: $*" >&2
  exit 2
fi
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. deploy/names.sh
VPC_CONNECTOR=${VPC_CONNECTOR:-energent-vpc-connector}
export PROJECT_ID ENVIRONMENT REGION CLOUDSDK_CORE_PROJECT=$PROJECT_ID CLOUDSDK_CORE_DISABLE_PROMPTS=1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# --- APIs and Google's own service accounts

gcloud services enable apigateway.googleapis.com artifactregistry.googleapis.com cloudbuild.googleapis.com \
  cloudfunctions.googleapis.com cloudkms.googleapis.com cloudresourcemanager.googleapis.com \
  cloudscheduler.googleapis.com compute.googleapis.com eventarc.googleapis.com firestore.googleapis.com iam.googleapis.com \
  pubsub.googleapis.com run.googleapis.com secretmanager.googleapis.com servicecontrol.googleapis.com \
  servicemanagement.googleapis.com storage.googleapis.com vpcaccess.googleapis.com
PROJECT_NUMBER=$(gcloud projects describe "$PROJECT_ID" --format='value(projectNumber)')
export PROJECT_NUMBER
for product in pubsub cloudscheduler eventarc secretmanager; do
  gcloud beta services identity create --service="$product.googleapis.com" >/dev/null
done

# --- service accounts

declare -A PURPOSES=(
  [auth]='Runs auth' [billing]='Runs billing' [tenants]='Runs tenants'
  [events]='Pushes events to the functions' [gateway]='Calls the functions for the API'
  [build]='Builds the images of the functions' [deploy]='Runs the pipeline'
)
for name in "${!PURPOSES[@]}"; do
  gcloud iam service-accounts describe "$(account "$name")" >/dev/null 2>&1 ||
    gcloud iam service-accounts create "energent-$name-$ENVIRONMENT" --display-name="${PURPOSES[$name]}"
done

grant_if() { # CONDITION ACCOUNT ROLE...
  local condition=$1 member role
  member=serviceAccount:$(account "$2")
  shift 2
  for role in "$@"; do
    gcloud projects add-iam-policy-binding "$PROJECT_ID" --member="$member" --role="$role" --condition="$condition" >/dev/null
  done
}
grant() { grant_if None "$@"; }

grant events roles/eventarc.eventReceiver
grant build roles/logging.logWriter roles/artifactregistry.writer
# What is built runs other people's code: it reaches the sources of functions, and no bucket of ours.
grant_if 'title=sources-of-functions,expression=resource.name.startsWith("projects/_/buckets/gcf-v2-")' \
  build roles/storage.objectAdmin
grant deploy roles/logging.logWriter roles/cloudfunctions.developer roles/run.admin roles/eventarc.viewer \
  roles/pubsub.admin roles/cloudscheduler.admin roles/apigateway.admin roles/datastore.indexAdmin \
  roles/serviceusage.serviceUsageConsumer
# Whoever deploys a service as an account must be allowed to act as it.
for name in auth billing tenants events gateway build; do
  gcloud iam service-accounts add-iam-policy-binding "$(account "$name")" \
    --member="serviceAccount:$(account deploy)" --role=roles/iam.serviceAccountUser >/dev/null
done
# Each function reads and writes this database and no other.
for name in auth billing tenants; do
  grant_if "title=$DATABASE,expression=resource.name==\"projects/$PROJECT_ID/databases/$DATABASE\"" \
    "$name" roles/datastore.user
done

# --- the database

gcloud firestore databases describe --database="$DATABASE" >/dev/null 2>&1 ||
  gcloud firestore databases create --database="$DATABASE" --location="$REGION" --type=firestore-native
gcloud firestore databases update --database="$DATABASE" --enable-pitr --delete-protection >/dev/null

# --- topics, and secrets, which tell auth over its topic when a version is disabled: auth makes the values of
# its own on its first request, Stripe's and the mail server's are added by hand

bash deploy/steps/topics.sh
gcloud pubsub topics add-iam-policy-binding auth-events \
  --member="serviceAccount:$(agent secretmanager)" --role=roles/pubsub.publisher >/dev/null

secret() { # NAME ACCOUNT ROLE...
  local name=energent-$ENVIRONMENT-$1 member role
  member=serviceAccount:$(account "$2")
  shift 2
  gcloud secrets describe "$name" >/dev/null 2>&1 ||
    gcloud secrets create "$name" --replication-policy=automatic --labels="environment=$ENVIRONMENT"
  for role in "$@"; do
    gcloud secrets add-iam-policy-binding "$name" --member="$member" --role="$role" >/dev/null
  done
}

# Secret Manager says when a key is to be rotated, and auth does it: it adds versions and destroys them, for which
# secretVersionManager is the least. A schedule that is there stays: to set it again would put the rotation off.
rotating() { # NAME DAYS
  local name=energent-$ENVIRONMENT-$1
  secret "$1" auth roles/secretmanager.secretAccessor roles/secretmanager.secretVersionManager
  gcloud secrets update "$name" --add-topics="projects/$PROJECT_ID/topics/auth-events" >/dev/null
  [[ -n $(gcloud secrets describe "$name" --format='value(rotation.nextRotationTime)') ]] ||
    gcloud secrets update "$name" --rotation-period="$(($2 * 86400))s" \
      --next-rotation-time="$(date -u -d "+$2 days" +%Y-%m-%dT%H:%M:%SZ)" >/dev/null
}

for name in auth-signing-key auth-refresh-key auth-link-key; do rotating "$name" 90; done
for name in auth-api-key-pepper auth-factor-key; do rotating "$name" 360; done
secret smtp-password auth roles/secretmanager.secretAccessor
for name in stripe-api-key stripe-webhook-secret; do
  secret "$name" billing roles/secretmanager.secretAccessor
done

# --- buckets

bucket() { # NAME FLAG...
  local url=gs://$1
  shift
  gcloud storage buckets describe "$url" >/dev/null 2>&1 || gcloud storage buckets create "$url" "$@"
}
share() { # BUCKET MEMBER ROLE
  gcloud storage buckets add-iam-policy-binding "gs://$1" --member="$2" --role="$3" >/dev/null
}

# Where `gcloud builds submit` puts the source.
bucket "${PROJECT_ID}_cloudbuild" --location=US --uniform-bucket-level-access --public-access-prevention
share "${PROJECT_ID}_cloudbuild" "serviceAccount:$(account deploy)" roles/storage.objectViewer

# The public keys that tokens are checked with: everybody may read an object, nobody may list them.
bucket "$PUBLIC_BUCKET" --location="$REGION" --uniform-bucket-level-access --no-public-access-prevention
share "$PUBLIC_BUCKET" allUsers roles/storage.legacyObjectReader
share "$PUBLIC_BUCKET" "serviceAccount:$(account auth)" roles/storage.objectUser

# Documents that are kept: under a key of our own, cheaper after 90 days, not to be deleted for 30.
key=projects/$PROJECT_ID/locations/$REGION/keyRings/energent-$ENVIRONMENT/cryptoKeys/storage
gcloud kms keyrings describe "energent-$ENVIRONMENT" --location="$REGION" >/dev/null 2>&1 ||
  gcloud kms keyrings create "energent-$ENVIRONMENT" --location="$REGION"
gcloud kms keys describe storage --keyring="energent-$ENVIRONMENT" --location="$REGION" >/dev/null 2>&1 ||
  gcloud kms keys create storage --keyring="energent-$ENVIRONMENT" --location="$REGION" --purpose=encryption \
    --rotation-period=90d --next-rotation-time="$(date -u -d '+90 days' +%Y-%m-%dT%H:%M:%SZ)"
gcloud storage service-agent --authorize-cmek="$key" >/dev/null
cat >"$work/lifecycle.json" <<'JSON'
{"rule": [{"action": {"type": "SetStorageClass", "storageClass": "NEARLINE"}, "condition": {"age": 90}}]}
JSON
bucket "$STORAGE_BUCKET" --location="$REGION" --uniform-bucket-level-access --public-access-prevention \
  --default-encryption-key="$key" --retention-period=2592000s --lifecycle-file="$work/lifecycle.json"
gcloud storage buckets update "gs://$STORAGE_BUCKET" --versioning >/dev/null ||
  echo "gs://$STORAGE_BUCKET has no versions beside its retention; no object of it can be replaced meanwhile." >&2
share "$STORAGE_BUCKET" "serviceAccount:$(account billing)" roles/storage.objectCreator
share "$STORAGE_BUCKET" "serviceAccount:$(account billing)" roles/storage.objectViewer

# --- what others make

gcloud compute networks vpc-access connectors describe "$VPC_CONNECTOR" --region="$REGION" >/dev/null ||
  echo "The VPC connector $VPC_CONNECTOR is not there yet: auth cannot be deployed without; see docs/runbooks/network.md" >&2

cat <<TEXT
Ready. Next, from this folder, once cloudbuild-functions.yaml has _ENVIRONMENT: $ENVIRONMENT and _REGION: $REGION among its substitutions:
  gcloud beta builds submit --project=$PROJECT_ID --config=cloudbuild-functions.yaml
  make setup
  .venv/bin/python -m deploy.first_operator --project=$PROJECT_ID --environment=$ENVIRONMENT
TEXT
