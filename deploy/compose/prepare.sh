#!/bin/sh
# Makes, once, every secret of the composed stack, each readable by the one user who needs it.
#
# It runs as root in a container without network, before anything else. What exists is kept: the
# HMAC key must never change, and the passwords are already those of the database.
set -eu
umask 077

root=${1:-/secrets}
service=$root/service # settings of the service: one file each, named as the variable
database=$root/database
service_user=${SERVICE_USER:-10001}
database_user=${DATABASE_USER:-999}

random() {
    od -An -v -tx1 -N "$1" /dev/urandom | tr -d ' \n'
}

# Written apart and then renamed: a file is either whole or not there.
keep() { # FILE USER VALUE
    [ -s "$1" ] && return
    printf '%s' "$3" >"$1.new"
    chmod 0400 "$1.new"
    chown "$2" "$1.new"
    mv "$1.new" "$1"
}

# As keep, but the present value wins: what the operator sets may change from start to start.
replace() { # FILE USER VALUE
    rm -f "$1"
    [ -z "$3" ] || keep "$1" "$2" "$3"
}

keep "$service/MPI_HMAC_KEY" "$service_user" "$(random 32)"

keep "$database/keyfile" "$database_user" "$(random 96)"
keep "$database/root_password" "$database_user" "$(random 24)"
keep "$database/service_password" "$database_user" "$(random 24)"
password=$(cat "$database/service_password")
keep "$service/MONGODB_URI" "$service_user" \
    "mongodb://mpi:$password@mongodb:27017/?replicaSet=rs0&authSource=admin"

# Verato resolves identity as soon as it is configured; MPI_PROVIDER says otherwise, or hybrid.
provider=${MPI_PROVIDER:-internal}
if [ -n "${VERATO_API_KEY:-}" ]; then
    provider=${MPI_PROVIDER:-verato}
fi
replace "$service/MPI_PROVIDER" "$service_user" "$provider"
replace "$service/VERATO_API_KEY" "$service_user" "${VERATO_API_KEY:-}"
replace "$service/VERATO_ENDPOINT" "$service_user" "${VERATO_ENDPOINT:-}"

# The folders belong to their readers, so that nobody else can list them.
close() { # FOLDER USER
    chmod 0500 "$1"
    chown "$2" "$1"
}
close "$service" "$service_user"
close "$database" "$database_user"
echo "Secrets are in place; the provider is $provider."
