package main

import (
	"errors"
	"net/netip"

	"mp3converter/internal/daemon"
	"mp3converter/internal/mysql"
	"mp3converter/internal/settings"
	"mp3converter/internal/token"
)

// config is the command's environment.
type config struct {
	Listen string          `env:"LISTEN" envDefault:":5000" doc:"host:port of /login, /validate, /logout and /users; keep it inside the cluster"`
	Secret settings.Secret `env:"JWT_SECRET,required,notEmpty" doc:"key of the tokens, at least 32 bytes, the same in every replica; several with commas between: the first signs, all verify"`
	Dev    bool            `env:"DEV" doc:"true accepts the JWT_SECRET that manifests/ publishes; for minikube only"`
	MySQL  database

	Operators      settings.Addresses `env:"OPERATORS" doc:"e-mail addresses with commas between, as the user table has them: these users may use /admin, where they see and end everybody's jobs; without it nobody may"`
	TrustedProxies []netip.Prefix     `env:"TRUSTED_PROXIES" doc:"networks of the gateways, as 10.244.0.0/16,fd00::/8: their X-Forwarded-For says where a login comes from; without it all come from the gateway"`
	daemon.Settings
}

// published is the JWT_SECRET of manifests/auth.yaml.
var published = settings.Published{
	Variable: "JWT_SECRET", Value: "published-in-the-manifests-for-minikube-only", Separator: token.Separator,
	Danger: "anybody can make tokens, and be anybody",
}

// Validate reports what the variables cannot be.
func (c config) Validate() error {
	_, err := token.NewKey(string(c.Secret))
	return errors.Join(published.Refuse(c.Secret, c.Dev), err, c.Settings.Validate())
}

// database is where the users are; the sub-commands need nothing else.
type database struct {
	Host     string          `env:"MYSQL_HOST,required,notEmpty" doc:"MySQL or MariaDB server"`
	Port     int             `env:"MYSQL_PORT" envDefault:"3306" doc:"its port"`
	User     string          `env:"MYSQL_USER" envDefault:"auth_user" doc:"its user"`
	Password settings.Secret `env:"MYSQL_PASSWORD,required" doc:"the user's password"`
	Name     string          `env:"MYSQL_DB" envDefault:"auth" doc:"database that init.sql made"`
}

func (d database) open() (*mysql.DB, error) {
	return mysql.Open(mysql.Config{Host: d.Host, Port: d.Port, User: d.User, Password: string(d.Password), Database: d.Name})
}
