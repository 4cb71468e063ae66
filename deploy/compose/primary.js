// The health check of the database: healthy is a primary that takes writes. The first time it makes the
// replica set, of which this is the only member; transactions need one.
const password = require("fs").readFileSync("/run/secrets/mpi/root_password", "utf8");
const admin = db.getSiblingDB("admin");
admin.auth("root", password);
try {
  admin.adminCommand({ replSetGetStatus: 1 });
} catch (error) {
  if (error.codeName !== "NotYetInitialized") throw error;
  rs.initiate({ _id: "rs0", members: [{ _id: 0, host: "mongodb:27017" }] });
}
quit(admin.hello().isWritablePrimary ? 0 : 1);
