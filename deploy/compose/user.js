// Runs once, when the database is empty: the service gets a user that reaches its own database only.
const password = require("fs").readFileSync("/run/secrets/mpi/service_password", "utf8");
db.getSiblingDB("admin").createUser({
  user: "mpi",
  pwd: password,
  roles: [{ role: "readWrite", db: process.env.MPI_DB || "mpi_service" }],
});
