// The minimal roles of a bridge in MongoDB, and a user that has them.
//
//   job-bridge config rights mongo > mongodb-role.js
//   mongosh "mongodb://admin@HOST/?replicaSet=rs0&authSource=admin" mongodb-role.js
//
// Change the names if yours differ: cdmtaskservice.jobs is mongo.database and the collection,
// job_bridge is checkpoint.database. The user is created in admin: add authSource=admin to mongo.uri.

const admin = db.getSiblingDB("admin");

// Required. Jobs: find looks up job ids and history, changeStream opens the stream. Checkpoint: no remove, no indexes.
// With checkpoint.store = file the second privilege is not needed.
admin.createRole({
  "role": "jobBridge",
  "privileges": [
    {"resource": {"db": "cdmtaskservice", "collection": "jobs"}, "actions": ["find", "changeStream"]},
    {"resource": {"db": "job_bridge", "collection": "job_bridge_checkpoints"}, "actions": ["find", "insert", "update"]}
  ],
  "roles": []
});

// Only for delivery.mode = background-jobs or background-transitions: the bridge removes tags from the jobs. An administrator creates
// the indexes of the sweep; 'job-bridge sweep --create-index' also needs createIndex.
admin.createRole({
  "role": "jobBridgeBackground",
  "privileges": [
    {"resource": {"db": "cdmtaskservice", "collection": "jobs"}, "actions": ["find", "changeStream", "update"]}
  ],
  "roles": []
});

// Optional. serverStatus shows how far back the oplog reaches: without it there is no headroom metric, and no warning before
// the oplog forgets the resume point. replSetGetConfig contains the id of the replica set: without it, a checkpoint is compared
// by the name of the set only.
admin.createRole({
  "role": "jobBridgeMonitor",
  "privileges": [
    {"resource": {"cluster": true}, "actions": ["serverStatus", "replSetGetConfig"]}
  ],
  "roles": []
});

admin.createUser({user: "job-bridge", pwd: passwordPrompt(), roles: ["jobBridge", "jobBridgeMonitor"]});
