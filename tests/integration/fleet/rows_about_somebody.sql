-- Rows about somebody, in tables that no message of a terminal fills; nth tells the rows of several people apart.
INSERT INTO benefit_events VALUES (:who, 'pension', 1, 'frozen', '2026-11-01', '{"case_id": "c", "because": "appeal", "day": "2026-11-01"}', 'sealed', :now);
INSERT INTO benefit_events VALUES (:who, 'pension', 2, 'unfrozen', '2026-11-02', '{"case_id": "c", "day": "2026-11-02"}', NULL, :now);
INSERT INTO benefit_events VALUES (:who, 'allowance', 1, 'frozen', '2026-11-01', '{"case_id": "c", "because": "appeal", "day": "2026-11-01"}', NULL, :now);
INSERT INTO benefit_files VALUES (:who, 'pension', 'paying', 'paying', NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, '{}', 0, '{}', '{}', 0, '{}', 2);
INSERT INTO i_am_here VALUES ('here' || :nth, :who, 'pass', '{}', :now);
INSERT INTO case_files SELECT 'file' || case_id, case_id, 'form', 'application/pdf', 9, sha256(''), '{}', 'sealed', :now FROM cases WHERE subject_id = :who;
INSERT INTO special_persons VALUES (:who, 'bedridden', 'sealed', '2027-11-01', :now);
INSERT INTO lists VALUES ('list' || :nth, 'list' || :nth, '2026-11-01', 'digest', 1, :now, 'sealed');
INSERT INTO list_members VALUES ('list' || :nth, :who, 'pension', 'east', 'retired', '2001-07-01');
INSERT INTO unit_lists VALUES ('unit' || :nth, 'unit', 'u', 'list', true, true, 0, '2026-11-01', 'sealed', :token, 'digest' || :nth, :now, 'sealed');
INSERT INTO unit_list_members VALUES ('unit' || :nth, :who, 1, 'verified');
INSERT INTO photo_files VALUES (sha256(convert_to(:who, 'UTF8')), :who, 'reference', 'import', :now);
INSERT INTO page_runs (run_id, kind, account_id, by_sealed, asked, worker, asked_at)
    VALUES ('run' || :nth, 'photos', 'account', 'sealed', '{}', 'worker', :now);
INSERT INTO photo_run_lines VALUES ('run' || :nth, 1, '…', 'accepted', '[]', :who, 'reference');
INSERT INTO feeds VALUES ('feed' || :nth, '{}', '2026-10-01', NULL, :now);
INSERT INTO feed_rows (row_key, feed, claim_token, subject_id, name_state, kind, since, detail, makes_event, stands, received_at)
    VALUES ('row' || :nth, 'feed' || :nth, :token, :who, 'differs', 'travel', '2026-10-20', '{}', true, true, :now);
INSERT INTO feed_deliveries (feed, area, period, number, sha256, rows, received_at) VALUES ('feed' || :nth, '', '2026-10-01', 1, 'digest', 1, :now);
INSERT INTO feed_delivery_rows SELECT 'row' || :nth, delivery_id FROM feed_deliveries WHERE feed = 'feed' || :nth;
INSERT INTO contradiction_resolutions VALUES ('contradiction' || :nth, :who, 'both', :now);
INSERT INTO partners VALUES ('partner' || :nth, 'sealed', 'agency', NULL, '{}', 60, '2027-11-01', :now);
INSERT INTO partner_certifications VALUES ('certification' || :nth, 'partner' || :nth, 'own', :who, sha256(''), 'face', 'app', :now, true, 'match', :now);
INSERT INTO partner_requests VALUES ('partner' || :nth, 'key', sha256(''), 200, '{"subject_id":"' || :who || '"}', :now);
INSERT INTO webhooks VALUES ('webhook' || :nth, 'partner' || :nth, 'https://partner.example', '{}', 'sealed', :now);
INSERT INTO webhook_messages (message_id, webhook_id, subject_id, event, payload)
    VALUES ('message' || :nth, 'webhook' || :nth, :who, 'status.changed', '{"subject_id":"' || :who || '"}');
INSERT INTO contacts VALUES (:who, 'sms', 'sealed', 'agency', :now);
INSERT INTO reminder_occasions VALUES (:who, 'appeal_answered', '2026-11-01', :now);
INSERT INTO reminders (reminder_id, subject_id, kind, occasion, step, state, priority, not_before, planned_at)
    VALUES ('reminder' || :nth, :who, 'due', '2026-11-01', 'message', 'sent', 1, :now, :now);
INSERT INTO reminder_deliveries (message_id, reminder_id, channel, state, begun_at)
    VALUES ('sms' || :nth, 'reminder' || :nth, 'sms', 'accepted', :now);
INSERT INTO outdated_entries SELECT terminal_id, :who FROM terminals ON CONFLICT DO NOTHING;
INSERT INTO audit_about VALUES (:who, 1000000, 'sealed');
