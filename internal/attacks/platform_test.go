package attacks

var platform = []row{
	{number: 67, attack: "pods that are not restricted, unlimited, with tokens, :latest, without a NetworkPolicy", expected: "found in manifests/ and overlays by a rule each", elsewhere: []string{
		"internal/manifests TestManifestsKeepTheRules", "internal/manifests TestEachRuleFindsTheMistakesPlantedForIt", "internal/manifests TestOverlaysRenderAndKeepTheRules",
	}},
	{number: 68, attack: "secrets in files, history and images", expected: "make audit, in make test, scans the first two; of what manifests/ publishes all is replaced", elsewhere: []string{
		"internal/manifests TestWhatIsPublishedIsFound", "internal/deploy TestSecretsTakeThePlaceOfAllPublishedPasswords",
	}},
	{number: 69, attack: "TCP from the converter to MySQL, the internet, the API server", expected: "not allowed by any policy: computed, not tried", elsewhere: []string{"internal/manifests TestManifestsKeepTheRules"}},
	{number: 70, attack: "notification publishes to video; the converter reads users; auth reads all", expected: "refused by broker and database", elsewhere: []string{
		"internal/rights TestAtRabbitMQEachServiceMayDoWhatItNeedsAndNothingElse", "internal/rights TestAtRabbitMQNoServiceIsAnAdministrator", "internal/rights TestAtMySQLAuthMayDoNothingElse",
	}},
}
