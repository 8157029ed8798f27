"""Commands of the `checkrein` CLI; only this layer composes controller and sim."""
