package job

// Filter says which of an owner's jobs are wanted. What is empty is no condition.
type Filter struct {
	States  []State // one of them
	Profile Profile
	Name    string // is a part of the file's name. It stands for itself, and A to Z for a to z
}
