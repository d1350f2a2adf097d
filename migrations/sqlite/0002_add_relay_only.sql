-- Whether the device is to use the relay only, by an administrator's word.
ALTER TABLE device ADD COLUMN relay_only INTEGER NOT NULL DEFAULT 0;
