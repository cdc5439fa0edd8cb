"""Reports on fitted networks: the history of training and a summary of the layers."""

from collections.abc import Sequence
from math import nan
from typing import Any

from sknn_notes.neural_network._summary import Summary


class ReportsMixin:
    """The history and the summary of the networks of an estimator."""

    def _check_is_fitted(self) -> None:
        raise NotImplementedError

    @property
    def _members(self) -> list[Any]:
        """Fitted networks; the estimator itself if ``n_networks=1``."""
        return vars(self).get("networks_") or [self]

    @property
    def history_(self) -> list[dict[str, float]]:
        """Curves of training as records, one for each epoch of each network.

        They contain the values of ``loss_curve_``, ``validation_loss_curve_`` and
        ``validation_scores_``. ``pandas.DataFrame(model.history_)`` is a table of them.

        Returns
        -------
        history : list of dict
            With ``warm_start`` and ``partial_fit``, earlier calls are included. The
            keys are ``"network"``, the index in ``networks_`` (0 if there is only
            one network); ``"epoch"``, counted from 1; ``"loss"``, the training loss;
            ``"validation_loss"`` and ``"validation_score"``, NaN without validation.
        """
        self._check_is_fitted()
        return [
            {
                "network": number,
                "epoch": epoch,
                "loss": loss,
                "validation_loss": validation_loss,
                "validation_score": score,
            }
            for number, network in enumerate(self._members)
            for epoch, (loss, validation_loss, score) in enumerate(
                zip(
                    network.loss_curve_,
                    _of_last(network.loss_curve_, network.validation_loss_curve_),
                    _of_last(network.loss_curve_, network.validation_scores_),
                    strict=True,
                ),
                start=1,
            )
        ]

    def summary(self) -> Summary:
        """Summarize the layers of the fitted network, its parameters and its memory.

        Returns
        -------
        summary : Summary
            Prints as a table, and as an HTML table in notebooks. Its attributes are:

            - ``layers``: list of dict, one for each layer of the first network, with
              the keys ``"layer"``, ``"output_shape"``, ``"arrays"`` and
              ``"n_parameters"``; ``pandas.DataFrame`` accepts it;
            - ``n_networks``: number of networks;
            - ``n_parameters``: number of parameters of all networks;
            - ``n_trained``: number of those that are trained by gradients. The others
              are running averages of batch norm and constants of an embedding;
            - ``nbytes``: size of the parameters of all networks, in bytes;
            - ``solver_nbytes``: size of the state of the optimizer, with which
              ``partial_fit`` and ``warm_start`` continue, in bytes.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        """
        self._check_is_fitted()
        return Summary.of(self._members)


def _of_last(epochs: Sequence[float], curve: Sequence[float] | None) -> list[float]:
    """Return a curve of the last epochs with a value for all, NaN for the others."""
    known = list(curve or ())
    return [nan] * (len(epochs) - len(known)) + known
