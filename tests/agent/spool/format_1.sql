-- A queue as format 1 wrote it, with its body file as the last table. Frozen: a release that cannot run this strands
-- mail. Another format gets a file of its own beside this one.
PRAGMA auto_vacuum = 2;
PRAGMA journal_mode = wal;
PRAGMA application_id = 1196446545;
PRAGMA user_version = 1;
CREATE TABLE messages(
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    standing TEXT NOT NULL, next_attempt REAL NOT NULL, attempts INTEGER NOT NULL, keep_until REAL,
    expires_at REAL NOT NULL, recipients TEXT NOT NULL, held INTEGER NOT NULL,
    received_at REAL NOT NULL, size INTEGER NOT NULL, crc32 INTEGER NOT NULL, body_at INTEGER,
    about TEXT NOT NULL);
CREATE TABLE bodies(id INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE counts(connector TEXT, event TEXT, total INTEGER NOT NULL, PRIMARY KEY(connector, event))
    WITHOUT ROWID;
CREATE TABLE imported(origin TEXT PRIMARY KEY, id INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE facts(name TEXT PRIMARY KEY, value ANY) WITHOUT ROWID;
INSERT INTO facts VALUES('store_id','ed446047c8364870a89350450585ea3f'),('runs_with',1);
INSERT INTO messages VALUES(1,'queued',1790000000.0,0,NULL,1790172800.0,'[["kate@fabrikam.com","pending","","",0]]',0,1790000000.0,23,1677793284,NULL,
    '{"message_id":"<1@relay.contoso.com>","kind":"relay","origin":null,"envelope":{"connector":"Anonymous Relay","principal":"NT AUTHORITY\\ANONYMOUS LOGON","client":"192.168.5.10","helo":"printer","mail_from":"chris@contoso.com","eight_bit":false,"smtp_utf8":false,"bounce_to":null}}');
INSERT INTO messages VALUES(2,'queued',1790000150.0,1,NULL,1790172800.0,'[["kate@fabrikam.com","done","250 2.0.0 Ok","smtp.contoso.com:25",1],["bob@litware.com","pending","451 4.3.0 later","mx.litware.com:25",1],["eve@example.net","pending","","",0]]',0,1790000000.0,22,1749296068,NULL,
    '{"message_id":"<2@relay.contoso.com>","kind":"relay","origin":null,"envelope":{"connector":"Anonymous Relay","principal":"NT AUTHORITY\\ANONYMOUS LOGON","client":"192.168.5.10","helo":"printer","mail_from":"chris@contoso.com","eight_bit":false,"smtp_utf8":false,"bounce_to":null}}');
INSERT INTO messages VALUES(3,'failed',1790000000.0,1,1790604860.0,1790172800.0,'[["kate@fabrikam.com","failed","550 5.1.1 nobody","smtp.contoso.com:25",1]]',0,1790000000.0,25,2529309730,NULL,
    '{"message_id":"<3@relay.contoso.com>","kind":"relay","origin":null,"envelope":{"connector":"Anonymous Relay","principal":"NT AUTHORITY\\ANONYMOUS LOGON","client":"192.168.5.10","helo":"printer","mail_from":"chris@contoso.com","eight_bit":false,"smtp_utf8":false,"bounce_to":null}}');
INSERT INTO messages VALUES(5,'queued',1790000000.0,0,NULL,1790172800.0,'[["j\u00f6rg@fabrikam.com","pending","","",0]]',1,1790000000.0,23,188683590,NULL,
    '{"message_id":"<5@relay.contoso.com>","kind":"relay","origin":null,"envelope":{"connector":"Anonymous Relay","principal":"NT AUTHORITY\\ANONYMOUS LOGON","client":"2001:db8::5","helo":"\"scan\u00e9r\"","mail_from":"","eight_bit":true,"smtp_utf8":true,"bounce_to":"ops@contoso.com"}}');
INSERT INTO messages VALUES(6,'queued',1790000000.0,0,NULL,1790172800.0,'[["kate@fabrikam.com","pending","","",0]]',0,1790000000.0,52,2476790916,559,
    '{"message_id":"<6@relay.contoso.com>","kind":"relay","origin":null,"envelope":{"connector":"Anonymous Relay","principal":"NT AUTHORITY\\ANONYMOUS LOGON","client":"192.168.5.10","helo":"printer","mail_from":"chris@contoso.com","eight_bit":false,"smtp_utf8":false,"bounce_to":null}}');
INSERT INTO messages VALUES(7,'queued',1790000000.0,0,NULL,1790172800.0,'[["kate@fabrikam.com","pending","","",0]]',0,1790000000.0,34,3188551157,NULL,
    '{"message_id":"<7@relay.contoso.com>","kind":"relay","origin":"0f0f0f0f0f0f4870a89350450585ea3f:12","envelope":{"connector":"Anonymous Relay","principal":"NT AUTHORITY\\ANONYMOUS LOGON","client":"192.168.5.10","helo":"printer","mail_from":"chris@contoso.com","eight_bit":false,"smtp_utf8":false,"bounce_to":null}}');
INSERT INTO bodies VALUES(1,X'5375626A6563743A206F6E650D0A0D0A68656C6C6F0D0A');
INSERT INTO bodies VALUES(2,X'5375626A6563743A2074776F0D0A0D0A2E646F740D0A');
INSERT INTO bodies VALUES(3,X'5375626A6563743A2074687265650D0A0D0A6E657665720D0A');
INSERT INTO bodies VALUES(5,X'5375626A6563743A20666976650D0A0D0A68656C640D0A');
INSERT INTO bodies VALUES(7,X'5375626A6563743A20736576656E0D0A0D0A66726F6D20656C736577686572650D0A');
INSERT INTO counts VALUES('Anonymous Relay','accepted',6);
INSERT INTO counts VALUES('Anonymous Relay','recipients',8);
INSERT INTO counts VALUES('Anonymous Relay','bounced',1);
INSERT INTO counts VALUES('Anonymous Relay','delivered',2);
INSERT INTO counts VALUES('Anonymous Relay','imported',1);
INSERT INTO imported VALUES('0f0f0f0f0f0f4870a89350450585ea3f:12',7);
UPDATE sqlite_sequence SET seq = 9 WHERE name = 'messages';
-- bodies/6, a line of text for each of its lines (these end in LF; those of the body in CRLF).
CREATE TABLE file_6(line TEXT);
INSERT INTO file_6 VALUES('{"id":6,"standing":"queued","next_attempt":1790000000.0,"attempts":0,"keep_until":null,"expires_at":1790172800.0,"recipients":"[[\"kate@fabrikam.com\",\"pending\",\"\",\"\",0]]","held":0,"received_at":1790000000.0,"size":0,"crc32":0,"body_at":null,"about":"{\"message_id\":\"\",\"kind\":\"relay\",\"origin\":null,\"envelope\":{\"connector\":\"Anonymous Relay\",\"principal\":\"NT AUTHORITY\\\\ANONYMOUS LOGON\",\"client\":\"192.168.5.10\",\"helo\":\"printer\",\"mail_from\":\"chris@contoso.com\",\"eight_bit\":false,\"smtp_utf8\":false,\"bounce_to\":null}}"}');
INSERT INTO file_6 VALUES('Subject: six' || char(13));
INSERT INTO file_6 VALUES('' || char(13));
INSERT INTO file_6 VALUES('0123456789' || char(13));
INSERT INTO file_6 VALUES('0123456789' || char(13));
INSERT INTO file_6 VALUES('0123456789' || char(13));
INSERT INTO file_6 VALUES('');
INSERT INTO file_6 VALUES('{"message_id": "<6@relay.contoso.com>", "size": 52, "crc32": 2476790916, "eight_bit": false, "smtp_utf8": false}');
