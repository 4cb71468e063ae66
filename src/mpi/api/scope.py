"""What the layers around the routes leave in the scope of a request, for those further in."""

BODY = "mpi.body"
HEADERS = "mpi.headers"
PRINCIPAL = "mpi.principal"
REQUEST_ID = "mpi.request_id"
ROUTE = "mpi.route"
