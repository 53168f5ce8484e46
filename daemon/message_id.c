/*
 * The events that the journal's catalog explains. SPDX-License-Identifier: Apache-2.0
 */

#include "daemon/message_id.h"

const struct log_message_id message_ids[] = {
	{"alert.failed", "903eb6f3a8e3ffe0445947cbac92af33"},
	{"alert.firing", "50efd2f9229553209f8649be42fb3588"},
	{"alert.over", "da2342998996be40a375d59dfb89a2ce"},
	{"config.refused", "304238e03c9f121c8bc4f541d57de449"},
	{"config.reloaded", "16150d5786adaef89f3834147e44f651"},
	{"daemon.ready", "6f19941d75ed4a315f8d6537f49fd85f"},
	{"daemon.stop_limit", "9b3d8a2403499a678ba2d4a47f4e0c6e"},
	{"daemon.stopping", "1819bad27dab507c56b8dbe1fa4e3359"},
	{"database.down", "a5dcbb04e64fe148d2b723ce9f42ee9f"},
	{"database.schema", "5636f6ac23cd6788e2b252f4111c713f"},
	{"database.up", "7545311f034e9f9493393b577b730383"},
	{"fetch.failed", "d667303e226dedc97d6be0eace3c80ca"},
	{"history.failed", "abd76d770097759d67e4332f4388fcb9"},
	{"lease.changed", "073fce1ffbdec27b8f5c2578ca0b6620"},
	{"load.failed", "dde424380df4d395e31805b32ff194ae"},
	{"load.retry", "91509b949a3a1efbc9a518ab9c4238d4"},
	{"log.dropped", "8e8ffe0364f1039fe293141b462c1302"},
	{"log.reopen_failed", "5f65754d53a93a0a2a3a0865cccbbf7d"},
	{"run.done", "02554de8e2bb458e3139f3d51e57308f"},
	{"run.failed", "9a8a111c83e4cea85c3171b97983027e"},
	{"run.spooled", "80bd6eb89ebb31676f2e990126d6637d"},
	{"schedule.failed", "877ac68eccd709d367175a71175ab80d"},
	{"schedule.skipped", "b02df5ec3eb219e055c79496365d718a"},
	{"spool.interrupted", "cb9904eeaba7e2d9a58c8ddee973991e"},
	{"spool.unreadable", "cd8875e4ccc31623f181fdd9082a6fc3"},
	{"state.missing", "b0eee016af0f7a0c350bcd43b6a58cea"},
	{"state.unreadable", "99449cfabcde53d2841936753b21cb7b"},
	{"state.unwritten", "c05767d5cb044cba34495b77d2d3b07f"},
	{"state.written", "aa7f9e2ef1ebcb5904b41a68512b6958"},
	{NULL, NULL},
};
