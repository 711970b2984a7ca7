// The least rights of a bridge in MongoDB, and a user with these rights.
//
//   mongosh "mongodb://admin@HOST/?replicaSet=rs0&authSource=admin" config/mongodb-role.js
//
// Replace the names where yours differ: cdmtaskservice.jobs is mongo.database and the collection,
// job_bridge is checkpoint.database. The user is in admin, so mongo.uri needs authSource=admin.

const admin = db.getSiblingDB("admin");

// Required. The first privilege reads: find for job ids and history, changeStream for the stream. The second stores
// the position; with checkpoint.store = file it is not needed.
admin.createRole({
  "role": "jobBridge",
  "privileges": [
    {"resource": {"db": "cdmtaskservice", "collection": "jobs"}, "actions": ["find", "changeStream"]},
    {"resource": {"db": "job_bridge", "collection": "job_bridge_checkpoints"}, "actions": ["find", "insert", "update"]}
  ],
  "roles": []
});

// Only for delivery.mode = background-jobs or background-transitions, which remove tags from the jobs. An administrator
// creates the index of the sweep; 'job-bridge sweep --create-index' also needs createIndex.
admin.createRole({
  "role": "jobBridgeBackground",
  "privileges": [
    {"resource": {"db": "cdmtaskservice", "collection": "jobs"}, "actions": ["find", "changeStream", "update"]}
  ],
  "roles": []
});

// Optional. serverStatus shows the oldest entry of the oplog: without it there is no headroom metric and no warning
// before the resume point is lost. replSetGetConfig distinguishes replica sets of the same name: without it a
// checkpoint is compared by the name of the set only.
admin.createRole({
  "role": "jobBridgeMonitor",
  "privileges": [
    {"resource": {"cluster": true}, "actions": ["serverStatus", "replSetGetConfig"]}
  ],
  "roles": []
});

admin.createUser({user: "job-bridge", pwd: passwordPrompt(), roles: ["jobBridge", "jobBridgeMonitor"]});
