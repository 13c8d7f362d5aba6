package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"mp3converter/internal/mongodb"
	"mp3converter/internal/settings"
)

// administration is the environment of gateway rights: what the image of MongoDB makes its administrator of, and the passwords
// that the services are told in their MONGODB_URI.
type administration struct {
	MongoDB      settings.Secret `env:"MONGODB_URI,required,notEmpty"`
	User         string          `env:"MONGO_INITDB_ROOT_USERNAME,required,notEmpty"`
	Password     settings.Secret `env:"MONGO_INITDB_ROOT_PASSWORD,required,notEmpty"`
	Gateway      settings.Secret `env:"GATEWAY_PASSWORD,required,notEmpty"`
	Converter    settings.Secret `env:"CONVERTER_PASSWORD,required,notEmpty"`
	Notification settings.Secret `env:"NOTIFICATION_PASSWORD,required,notEmpty"`
}

const rightsPause = 2 * time.Second // between two tries

// giveRights waits for MongoDB, as the services do, and then gives each of them its user.
func giveRights(ctx context.Context, out io.Writer, environ []string) error {
	a, err := settings.Load[administration](environ)
	if err != nil {
		return fmt.Errorf("gateway rights: mend the environment:\n%w", err)
	}
	passwords := map[string]string{
		"gateway": string(a.Gateway), "converter": string(a.Converter), "notification": string(a.Notification),
	}
	said := ""
	for {
		roles, err := mongodb.Grant(ctx, string(a.MongoDB), a.User, string(a.Password), passwords)
		if err == nil {
			if !roles {
				fmt.Fprintln(out, "this server knows no roles: each user may do everything")
			}
			_, err = fmt.Fprintln(out, "gateway, converter and notification have their users")
			return err
		}
		if why := err.Error(); why != said {
			fmt.Fprintln(out, "waiting:", why)
			said = why
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(rightsPause):
		}
	}
}
