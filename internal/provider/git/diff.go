package git

import "context"

// Changed lists the paths that HEAD adds or modifies since it left base; a
// file that was deleted is not among them.
func Changed(ctx context.Context, dir, base string) ([]string, error) {
	hash, err := resolve(ctx, dir, base)
	if err != nil {
		return nil, err
	}
	out, err := run(ctx, dir, "diff", "--name-only", "-z", "--no-renames", "--diff-filter=d", hash+"...HEAD")
	return records(out), err
}
