// The least rights a bridge needs in MongoDB, and a user that has them.
//
//   mongosh "mongodb://admin@HOST/?replicaSet=rs0&authSource=admin" config/mongodb-role.js
//
// Change the names where yours differ: cdmtaskservice.jobs is mongo.database and the collection,
// job_bridge is checkpoint.database. The user lives in admin: give mongo.uri an authSource=admin.

const admin = db.getSiblingDB("admin");

// Needed. Reading: find looks up job ids, changeStream is the stream itself. Keeping the position: no removing, no indexes.
// With checkpoint.store = file the second privilege is not needed.
admin.createRole({
  "role": "jobBridge",
  "privileges": [
    {"resource": {"db": "cdmtaskservice", "collection": "jobs"}, "actions": ["find", "changeStream"]},
    {"resource": {"db": "job_bridge", "collection": "job_bridge_checkpoints"}, "actions": ["find", "insert", "update"]}
  ],
  "roles": []
});

// Only for delivery.mode = background-jobs or background-transitions: the bridge takes tags off the jobs. The index of the sweep is made
// by an administrator ('job-bridge sweep --create-index' needs createIndex besides).
admin.createRole({
  "role": "jobBridgeBackground",
  "privileges": [
    {"resource": {"db": "cdmtaskservice", "collection": "jobs"}, "actions": ["find", "changeStream", "update"]}
  ],
  "roles": []
});

// Optional. serverStatus tells how far back the oplog reaches: without it there is no headroom metric and no warning
// before history is lost. replSetGetConfig tells one replica set from another of the same name: without it a checkpoint
// is compared by the name of the set alone.
admin.createRole({
  "role": "jobBridgeMonitor",
  "privileges": [
    {"resource": {"cluster": true}, "actions": ["serverStatus", "replSetGetConfig"]}
  ],
  "roles": []
});

admin.createUser({user: "job-bridge", pwd: passwordPrompt(), roles: ["jobBridge", "jobBridgeMonitor"]});
