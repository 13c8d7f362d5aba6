-- The user database of mp3converter, for MySQL 8.4 and MariaDB 10.11. Run it as often as you like:
--
--     mysql -u root -p < init.sql
--
-- It makes what is missing, adds to the original system's table the column that it lacks, and changes nothing else: rows
-- and passwords stay as they are. Passwords that the original kept as plain text are hashed at their users' next login.
--
-- Two passwords in here are published, so they are for minikube and your laptop. Anywhere else run, as root:
--
--     ALTER USER 'auth_user'@'%' IDENTIFIED BY '...';     and give auth the same in MYSQL_PASSWORD
--
-- and with that:  auth user add you@example.com;  auth user delete sid@gmail.com

CREATE DATABASE IF NOT EXISTS auth CHARACTER SET utf8mb4;

-- The collation is one that both engines have. It makes addresses that differ only in case exclude each other; who logs
-- in must still type theirs as it is stored (the program compares bytes).
CREATE TABLE IF NOT EXISTS auth.user (
  id       INT          NOT NULL AUTO_INCREMENT PRIMARY KEY,
  email    VARCHAR(255) NOT NULL UNIQUE,
  password VARCHAR(255) NOT NULL,               -- an Argon2id PHC string, see: auth hash
  admin    BOOLEAN      NOT NULL DEFAULT TRUE   -- may use the service
) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

-- The original's table has no column admin. MySQL knows no ADD COLUMN IF NOT EXISTS, hence the detour.
SET @add_admin = IF(
  EXISTS (SELECT 1 FROM information_schema.columns
          WHERE table_schema = 'auth' AND table_name = 'user' AND column_name = 'admin'),
  'DO 0',
  'ALTER TABLE auth.user ADD COLUMN admin BOOLEAN NOT NULL DEFAULT TRUE');
PREPARE add_admin FROM @add_admin;
EXECUTE add_admin;
DEALLOCATE PREPARE add_admin;

-- Tokens that were ended before their time: by a logout, another password, or the user's deletion. Who and token are
-- SHA-256, so what strangers type is not kept, and nothing depends on the collation of auth.user.
CREATE TABLE IF NOT EXISTS auth.revoked (
  who     BINARY(32)   NOT NULL,   -- the user's address
  token   BINARY(32)   NOT NULL,   -- one token; zeros mean all of the user's that are older than version
  version INT UNSIGNED NOT NULL,
  expires BIGINT       NOT NULL,   -- seconds since 1970, then the row goes; 0 stays, so that no old token revives
  changed BIGINT       NOT NULL,   -- seconds since 1970
  PRIMARY KEY (who, token),
  KEY changed (changed),
  KEY expires (expires)
);

-- Failed logins, for all replicas of auth. It never has more rows than there are slots: 2097152, some 100 MB.
CREATE TABLE IF NOT EXISTS auth.login_failure (
  slot     INT UNSIGNED NOT NULL PRIMARY KEY,   -- of a client's address, or of that and an account
  failures INT UNSIGNED NOT NULL,
  last     BIGINT       NOT NULL                -- milliseconds since 1970
);

-- The service reads and writes these tables; it alters none and sees no other.
CREATE USER IF NOT EXISTS 'auth_user'@'%' IDENTIFIED BY 'Auth123';
GRANT SELECT, INSERT, UPDATE, DELETE ON auth.user TO 'auth_user'@'%';
GRANT SELECT, INSERT, UPDATE, DELETE ON auth.revoked TO 'auth_user'@'%';
GRANT SELECT, INSERT, UPDATE, DELETE ON auth.login_failure TO 'auth_user'@'%';

-- sid@gmail.com with the password sid123, only into an empty table: who has users of their own never gets a login back
-- that the whole world knows.
INSERT INTO auth.user (email, password, admin)
SELECT 'sid@gmail.com', '$argon2id$v=19$m=19456,t=2,p=1$bXAzY29udmVydGVyLXNpZA$ohtT9gt0vU/OyaBOsT2jyWIuzdCONSCBRUDQ5GTUU1c', TRUE
FROM DUAL
WHERE NOT EXISTS (SELECT 1 FROM auth.user);
