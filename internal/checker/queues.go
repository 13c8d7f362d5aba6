package checker

import (
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// LookAtQueues counts what waits in the queues, and reads the dead letters without taking them. What is handed out and not
// settled cannot be seen by a client of the broker.
func LookAtQueues(url string) (all []Queue, dead []DeadLetter, err error) {
	conn, err := amqp.DialConfig(url, amqp.Config{Dial: amqp.DefaultDial(2 * time.Second)})
	if err != nil {
		return nil, nil, err
	}
	defer conn.Close()
	ch, err := conn.Channel()
	if err != nil {
		return nil, nil, err
	}
	for _, name := range []string{"video", "mp3"} {
		q, err := ch.QueueDeclarePassive(name, true, false, false, false, nil)
		if err != nil {
			return nil, nil, err
		}
		all = append(all, Queue{Name: name, Ready: q.Messages})
	}
	for _, name := range []string{"video.dead", "mp3.dead"} {
		for { // what is not acknowledged goes back when the connection is closed
			d, there, err := ch.Get(name, false)
			if err != nil {
				return nil, nil, err
			}
			if !there {
				break
			}
			dead = append(dead, DeadLetter{Queue: name, Body: string(d.Body)})
		}
	}
	return all, dead, nil
}
